#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "consumers/views/database.h"
#include "consumers/views/decisions.h"
#include "consumers/views/definition.h"
#include "consumers/views/sqlite.h"
#include "consumers/views/upkeep.h"
#include "tests/support/sim_env.h"
#include "tests/support/stride.h"

namespace tidemill::views {

// RocksDB sleeps for a second after a background error, so worlds are tried side by side.
template <class Try>
void for_each_world(std::uint64_t count, Try try_one) {
  std::atomic<std::uint64_t> next{1};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 24; ++i) {
    threads.emplace_back([&] {
      const auto take = [&] { return next.fetch_add(kStride); };
      for (std::uint64_t n = take(); n <= count && !::testing::Test::HasFatalFailure(); n = take()) try_one(n);
    });
  }
}

// One view's store on a simulated disk: records are made from their number, so that all lives of all worlds see the
// same log. RocksDB's threads are real ones; what they do to the disk is one of the orders that could be.
class StoreWorld {
 public:
  using Bytes = std::map<std::string, std::string>;  // a family, all that is stored
  static constexpr std::uint32_t kBatch = 12;
  static constexpr std::uint32_t kBatches = 30;

  static constexpr const char* kDirectory = "/data/views";
  static constexpr std::uint64_t kMemory = 24 << 20;

  enum class Rows { stay, go };  // with time

  explicit StoreWorld(std::uint64_t seed, Logger& logger = null_logger(), Rows rows = Rows::stay)
      : sim(seed, logger), rows(rows) {
    configure_sqlite();
  }
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
    auto kept = Upkeep::open(sim.env, definition(rows), *database, *made, fields, 64 << 10,
                             {decisions, [](HashKey, Sequence) { return ShardId(0); }});
    if (std::holds_alternative<SqlError>(kept)) return {EIO, boost::system::generic_category()};
    upkeep = std::move(std::get<0>(kept));
    parsed = std::make_unique<ParsedBatch>(fields, [](HashKey, Sequence) { return ShardId(0); });
    if (const auto settled = upkeep->settle(); !settled) return settled.error();
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
      records[i].arrival = arrival_of(first + i);
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
  static const std::vector<Bytes>& expected(Rows rows = Rows::stay) {
    static const std::vector<Bytes> stay = lives(Rows::stay);
    static const std::vector<Bytes> go = lives(Rows::go);
    return rows == Rows::stay ? stay : go;
  }
  // Mostly a minute later than the one before; now and then half an hour back, as a clock may be set; and after each 60
  // records two hours of silence, in which all rows go that do.
  static WallTime arrival_of(std::uint64_t sequence) {
    const std::uint64_t minutes = 1'000'000 + sequence + sequence / 60 * 120 - (mix(sequence) % 7 == 0 ? 30 : 0);
    return WallTime(std::chrono::minutes(minutes));
  }

  // Whether record `sequence` is one that cannot be counted.
  static bool is_bad(std::uint64_t sequence) { return mix(sequence) % 17 == 0; }

  SimEnv sim;
  const Rows rows;
  std::shared_ptr<Decisions> decisions;  // survives a crash, as what is in the system stream does
  std::unique_ptr<Database> database;
  std::unique_ptr<Upkeep> upkeep;

 private:
  static std::vector<Bytes> lives(Rows rows) {
    StoreWorld world(1, null_logger(), rows);
    EXPECT_FALSE(world.open());
    std::vector<Bytes> out{world.bytes()};
    for (std::uint32_t i = 0; i < kBatches; ++i) {
      EXPECT_TRUE(world.apply_next());
      out.push_back(world.bytes());
    }
    return out;
  }
  // Sums, sets, a collection, a map and sketches; some records are parked.
  static Definition definition(Rows rows) {
    const std::string head =
        rows == Rows::stay ? "" : "CREATE MATERIALIZED VIEW customers WITH (ttl = '40 minutes') AS ";
    auto made = split(
        head +
            "SELECT ident(customer) AS customer, count(*) AS lines, count(DISTINCT invoice) AS invoices, "
            "sum(units) AS units, last(country) AS country, collect(stock) AS items, map(country, stock) AS latest, "
            "arg_max(stock, units) AS most, stddev(units) AS spread, quantile(units, 0.9) AS p90, "
            "approx_count_distinct(stock) AS stocks FROM retail GROUP BY 1",
        {});
    const auto* error = std::get_if<SqlError>(&made);
    EXPECT_EQ(error, nullptr) << error->message;
    return std::get<0>(made);
  }
  static std::string text_of(std::uint64_t sequence) {
    const std::uint64_t dice = mix(sequence);
    const std::string units = is_bad(sequence) ? "\"many\"" : std::to_string(dice % 9);
    return R"({"customer":)" + std::to_string(dice % 23) + R"(,"invoice":"i)" + std::to_string(dice / 7 % 40) +
           R"(","units":)" + units + R"(,"country":"c)" + std::to_string(dice % 5) + R"(","stock":"s)" +
           std::to_string(sequence) + R"("})";
  }

  std::unique_ptr<ParsedBatch> parsed;
  std::vector<std::string> texts;
};

}  // namespace tidemill::views
