// Lists that are full: the newest values stay, whatever the batches were and however often a write failed.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "consumers/views/batch.h"
#include "consumers/views/database.h"
#include "consumers/views/sqlite.h"
#include "consumers/views/upkeep.h"
#include "tests/support/sim_env.h"

namespace tidemill::views {
namespace {

using Bytes = std::map<std::string, std::string>;

struct Lists : testing::Test {
  static constexpr std::uint64_t kRecords = 3'000;
  std::vector<std::string> texts{""};

  void SetUp() override {
    configure_sqlite();
    std::mt19937_64 random(3);
    for (std::uint64_t s = 1; s <= kRecords; ++s) {
      const std::string value = random() % 10 == 0 ? "null" : std::to_string(s);
      texts.push_back(R"({"k":"k)" + std::to_string(random() % 3) + R"(","v":)" + value + "}");
    }
  }

  // `fails`: of ten writes, so many are not done at first. Lists are as they are by hand each time.
  Bytes bytes(std::uint64_t batch_max, std::uint64_t fails) {
    SimEnv sim(1);
    auto database = std::move(*Database::open(sim.env, "/data/views", 24 << 20));
    const Definition definition = std::get<Definition>(
        split("SELECT k, collect(v, 5) AS newest, collect(v, 200) AS more, collect(v) AS all_ FROM t GROUP BY k", {}));
    FieldSet fields;
    const auto shard = [](HashKey, Sequence) { return ShardId(0); };
    const auto family = *database->family("v1");
    auto upkeep =
        std::move(std::get<0>(Upkeep::open(sim.env, definition, *database, family, fields, 1 << 20, {{}, shard})));
    ParsedBatch batch(fields, shard);
    std::mt19937_64 random(batch_max + fails);
    for (std::uint64_t from = 1; from <= kRecords;) {
      const std::uint64_t count = std::min(kRecords + 1 - from, 1 + random() % batch_max);
      std::vector<Record> records(count);
      for (std::uint64_t i = 0; i < count; ++i) {
        records[i].sequence = Sequence(from + i);
        records[i].data = texts[from + i];
      }
      from += count;
      batch.parse(records);
      const Position through = Position::through(Sequence(from - 1));
      while (random() % 10 < fails) {
        EXPECT_TRUE(upkeep->prepare(batch, through));
        upkeep->written(false);
      }
      EXPECT_TRUE(upkeep->apply(batch, through));
    }
    Bytes out;
    const auto snapshot = database->snapshot();
    for (const auto cursor = snapshot->cursor(*family, "", ""); cursor->valid(); cursor->next())
      out.emplace(cursor->key(), cursor->value());
    return out;
  }
};

TEST_F(Lists, AreTheSameBytesHoweverCutAndTried) {
  const Bytes whole = bytes(kRecords, 0);
  std::map<std::string, std::uint64_t> members;  // by their values: a sequence is in up to three lists
  for (const auto& [key, value] : whole)
    if (key[0] == '\x03') ++members[value];
  std::uint64_t all = 0, in_two = 0, in_three = 0;
  for (const auto& [value, lists] : members) {
    ++all;
    in_two += lists >= 2;
    in_three += lists == 3;
  }
  EXPECT_GT(all, kRecords * 8 / 10);
  EXPECT_EQ(in_two, 3 * 200u);
  EXPECT_EQ(in_three, 3 * 5u);
  for (const std::uint64_t batch_max : {1u, 7u, 150u, 900u}) {
    EXPECT_EQ(bytes(batch_max, 0), whole) << batch_max;
    EXPECT_EQ(bytes(batch_max, 5), whole) << batch_max << ", with writes that fail";
  }
}

}  // namespace
}  // namespace tidemill::views
