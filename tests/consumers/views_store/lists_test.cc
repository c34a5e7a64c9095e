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

// Records that left quarantine after others had come behind them, `late` batches later; 0: in their turn.
Bytes members_with_late(std::uint64_t late) {
  constexpr std::uint64_t kAll = 600;
  configure_sqlite();
  SimEnv sim(1);
  auto database = std::move(*Database::open(sim.env, "/data/views", 24 << 20));
  const Definition definition = std::get<Definition>(
      split("SELECT k, sum(n) AS s, collect(v, 3) AS newest, collect(v, 20) AS more FROM t GROUP BY k", {}));
  FieldSet fields;
  const auto shard = [](HashKey, Sequence) { return ShardId(0); };
  const auto family = *database->family("v1");
  const auto decisions = std::make_shared<Decisions>();
  auto upkeep =
      std::move(std::get<0>(Upkeep::open(sim.env, definition, *database, family, fields, 1 << 20, {decisions, shard})));
  ParsedBatch batch(fields, shard);
  std::mt19937_64 random(5), when(late);
  std::map<std::uint64_t, std::vector<Decided>> due;  // by the record after which they are made
  for (std::uint64_t s = 1; s <= kAll; ++s) {
    const std::string rest = R"("v":)" + std::to_string(s) + R"(,"k":"k)" + std::to_string(random() % 2) + "\"}";
    const bool bad = random() % 7 == 0;
    Record record;
    record.sequence = Sequence(s);
    const std::string text = "{\"n\":" + std::string(bad ? "\"many\"," : "1,") + rest;
    record.data = text;
    const Decided edit{Sequence(s), {Decision::Kind::edit, "{\"n\":1," + rest}};
    if (bad && late == 0) decisions->add(edit.sequence, edit.decision);
    if (bad && late != 0) due[s + 1 + when() % late].push_back(edit);
    batch.parse({&record, 1});
    EXPECT_TRUE(upkeep->apply(batch, Position::through(Sequence(s))));
    for (const Decided& d : due[s]) decisions->add(d.sequence, d.decision);
    EXPECT_TRUE(upkeep->settle(due[s]));
    due.erase(s);
  }
  for (const auto& [s, left] : due) {
    for (const Decided& d : left) decisions->add(d.sequence, d.decision);
    EXPECT_TRUE(upkeep->settle(left));
  }
  Bytes out;
  const auto snapshot = database->snapshot();
  for (const auto cursor = snapshot->cursor(*family, "\x03", "\x04"); cursor->valid(); cursor->next())
    out.emplace(cursor->key(), cursor->value());
  return out;
}

TEST_F(Lists, AreTheSameBytesWhateverCameLate) {
  const Bytes in_turn = members_with_late(0);
  EXPECT_EQ(in_turn.size(), 2 * (3 + 20u));
  for (const std::uint64_t late : {1u, 4u, 12u, 60u}) EXPECT_EQ(members_with_late(late), in_turn) << late;
}

}  // namespace
}  // namespace tidemill::views
