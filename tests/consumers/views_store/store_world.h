#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "consumers/views/database.h"
#include "consumers/views/definition.h"
#include "consumers/views/sqlite.h"
#include "consumers/views/upkeep.h"
#include "tests/support/sim_env.h"

namespace tidemill::views {

// One view's store on a simulated disk: records are made from their number, so that all lives of all worlds see the
// same log. RocksDB's threads are real ones; what they do to the disk is one of the orders that could be.
class StoreWorld {
 public:
  using Bytes = std::map<std::string, std::string>;  // a family, all that is stored
  static constexpr std::uint32_t kBatch = 12;
  static constexpr std::uint32_t kBatches = 30;

  static constexpr const char* kDirectory = "/data/views";
  static constexpr std::uint64_t kMemory = 24 << 20;

  explicit StoreWorld(std::uint64_t seed, Logger& logger = null_logger()) : sim(seed, logger) { configure_sqlite(); }
  ~StoreWorld() { close(); }

  // The first error, if any. Without one, database and upkeep are there.
  ErrorCode open(bool anew_if_damaged = false) {
    close();
    auto opened = anew_if_damaged ? Database::open_or_begin_anew(sim.env, kDirectory, kMemory)
                                  : Database::open(sim.env, kDirectory, kMemory);
    if (!opened) return opened.error();
    database = std::move(*opened);
    auto made = database->family("v1");
    if (!made) return made.error();
    FieldSet fields;
    auto kept = Upkeep::open(sim.env, definition(), *database, *made, fields, 64 << 10);
    if (std::holds_alternative<SqlError>(kept)) return {EIO, boost::system::generic_category()};
    upkeep = std::move(std::get<0>(kept));
    parsed = std::make_unique<ParsedBatch>(fields, [](HashKey, Sequence) { return ShardId(0); });
    return {};
  }
  void close() {
    upkeep.reset();
    database.reset();
  }
  std::uint32_t done() const {  // batches that are in
    return static_cast<std::uint32_t>(upkeep->checkpoint().position.sequence().value() / kBatch);
  }
  Result<void> apply_next() { return apply(done() * kBatch + 1, kBatch); }
  // Records `first` to `first + count - 1` of the log.
  Result<void> apply(std::uint64_t first, std::uint32_t count) {
    texts.clear();
    std::vector<Record> records(count);
    for (std::uint32_t i = 0; i < count; ++i) texts.push_back(text_of(first + i));
    for (std::uint32_t i = 0; i < count; ++i) {
      records[i].sequence = Sequence(first + i);
      records[i].data = texts[i];
    }
    parsed->parse(records);
    return upkeep->apply(*parsed, Position::through(Sequence(first + count - 1)));
  }
  Result<void> flush() { return database->flush(*upkeep->family(), true); }

  // Everything of the family, and nothing else.
  Bytes bytes() const {
    Bytes out;
    const auto snapshot = database->snapshot();
    const auto cursor = snapshot->cursor(*upkeep->family(), "", "");
    for (; cursor->valid(); cursor->next()) out.emplace(cursor->key(), cursor->value());
    EXPECT_FALSE(cursor->error()) << cursor->error().message();
    return out;
  }
  // What the family must hold after each number of batches.
  static const std::vector<Bytes>& expected() {
    static const std::vector<Bytes> all = [] {
      StoreWorld world(1);
      EXPECT_FALSE(world.open());
      std::vector<Bytes> out{world.bytes()};
      for (std::uint32_t i = 0; i < kBatches; ++i) {
        EXPECT_TRUE(world.apply_next());
        out.push_back(world.bytes());
      }
      return out;
    }();
    return all;
  }

  SimEnv sim;
  std::unique_ptr<Database> database;
  std::unique_ptr<Upkeep> upkeep;

 private:
  // Sums, sets, and a collection; some records are parked.
  static Definition definition() {
    auto made = split(
        "SELECT ident(customer) AS customer, count(*) AS lines, count(DISTINCT invoice) AS invoices, "
        "sum(units) AS units, last(country) AS country, collect(stock) AS items FROM retail GROUP BY 1",
        {});
    const auto* error = std::get_if<SqlError>(&made);
    EXPECT_EQ(error, nullptr) << error->message;
    return std::get<0>(made);
  }
  static std::string text_of(std::uint64_t sequence) {
    const std::uint64_t dice = mix(sequence);
    const std::string units = dice % 17 == 0 ? "\"many\"" : std::to_string(dice % 9);
    return R"({"customer":)" + std::to_string(dice % 23) + R"(,"invoice":"i)" + std::to_string(dice / 7 % 40) +
           R"(","units":)" + units + R"(,"country":"c)" + std::to_string(dice % 5) + R"(","stock":"s)" +
           std::to_string(sequence) + R"("})";
  }

  std::unique_ptr<ParsedBatch> parsed;
  std::vector<std::string> texts;
};

}  // namespace tidemill::views
