// What one more record costs a key that has many distinct values already: no more than it costs one with a few.
#include <gtest/gtest.h>

#include "consumers/views/definition.h"
#include "consumers/views/key.h"
#include "consumers/views/sqlite.h"
#include "consumers/views/upkeep.h"
#include "tests/support/sim_env.h"

namespace tidemill::views {
namespace {

class DistinctCost : public testing::Test {
 protected:
  static constexpr const char* kDirectory = "/data/views";
  // One would do: the block in which a known value is found, for a new one has a filter. The others are for RocksDB.
  static constexpr std::uint64_t kReads = 3;

  void open() {
    close();
    configure_sqlite();
    database = std::move(*Database::open(sim.env, kDirectory, 64 << 20));
    FieldSet fields;
    Definition definition = std::get<Definition>(split("SELECT k, count(DISTINCT v) AS n FROM t GROUP BY k", {}));
    definition.lineage = false;  // the row ends with the number of members
    upkeep = std::move(std::get<0>(
        Upkeep::open(sim.env, definition, *database, *database->family("v1"), fields, 1)));  // no row stays resident
    batch = std::make_unique<ParsedBatch>(fields, [](HashKey, Sequence) { return ShardId(0); });
  }
  void close() {
    upkeep.reset();
    database.reset();
  }
  void TearDown() override { close(); }

  // Values `from` to `from + n - 1` of the key, in one batch. The bytes that it wrote.
  std::uint64_t add(const std::string& key, std::uint64_t from, std::uint32_t n) {
    std::vector<std::string> texts(n);
    std::vector<Record> records(n);
    for (std::uint32_t i = 0; i < n; ++i) {
      texts[i] = R"({"k":")" + key + R"(","v":"user)" + std::to_string(1'000'000'000 + from + i) + "\"}";
      records[i].sequence = Sequence(++sequence);
      records[i].data = texts[i];
    }
    batch->parse(records);
    const std::uint64_t before = upkeep->bytes_since_flush();
    EXPECT_TRUE(upkeep->apply(*batch, Position::through(Sequence(sequence))));
    return upkeep->bytes_since_flush() - before;
  }
  std::string row(const std::string& key) {
    std::string group;
    encode_key(Cell::text(key), group);
    return database->snapshot()->get(*upkeep->family(), row_key(group))->value_or("");
  }

  SimEnv sim{1};
  std::unique_ptr<Database> database;
  std::unique_ptr<Upkeep> upkeep;
  std::unique_ptr<ParsedBatch> batch;
  std::uint64_t sequence = 0;
};

TEST_F(DistinctCost, AnUpdateReadsAndWritesNoMoreOfALargeKey) {
  open();
  add("f", 0, 10);
  for (std::uint64_t from = 0; from < 100'000; from += 10'000) add("m", from, 10'000);
  ASSERT_TRUE(database->flush(*upkeep->family(), true));
  open();                                             // nothing is in memory
  for (const char* key : {"f", "m"}) add(key, 0, 1);  // the file's index is, now

  const std::uint64_t few_new = add("f", 500'000, 1), few_known = add("f", 3, 1);
  for (std::uint64_t i = 0; i < 8; ++i) {
    // Of both updates the next read but kReads fails, and its update with it.
    sim.files.fail({.op = DiskOp::read, .path_contains = {}, .nth = kReads + 1, .times = 1});
    EXPECT_LE(add("m", 500'000 + i, 1), few_new + 4) << "two numbers in the row are longer";
    EXPECT_LE(add("m", 10'000 * i + 7, 1), few_known + 4);
    EXPECT_EQ(sim.files.faults_hit(), 0u);
    sim.files.clear_faults();
  }
  // 100,008 as a varint at the end of the row; the other has 11.
  EXPECT_TRUE(row("m").ends_with("\xA8\x8D\x06"));
  EXPECT_TRUE(row("f").ends_with("\x0B"));
}

}  // namespace
}  // namespace tidemill::views
