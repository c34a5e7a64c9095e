// Decisions about records in quarantine: whenever they come, the bytes are those of a view that met them in their turn.
#include <gtest/gtest.h>

#include <mutex>
#include <random>

#include "consumers/views/overlay.h"
#include "tests/consumers/views_store/store_world.h"

namespace tidemill::views {
namespace {

constexpr std::uint64_t kRecords = StoreWorld::kBatch * StoreWorld::kBatches;

std::vector<std::uint64_t> bad_ones() {
  std::vector<std::uint64_t> out;
  for (std::uint64_t s = 1; s <= kRecords; ++s)
    if (StoreWorld::is_bad(s)) out.push_back(s);
  return out;
}

// The nth decision about the nth bad record: known from its number, so that all worlds make the same.
Decided decision(std::uint64_t n, std::uint64_t sequence) {
  const std::string id = std::to_string(n);
  const std::string good = R"({"customer":)" + std::to_string(n % 23) + R"(,"invoice":"i)" + std::to_string(n % 40) +
                           R"(","units":)" + id + R"(,"country":"c)" + std::to_string(n % 5) + R"(","stock":"e)" + id +
                           "\"}";
  switch (n % 5) {
    case 0:
      return {Sequence(sequence), {Decision::Kind::skip, ""}};
    case 1:
      return {Sequence(sequence), {Decision::Kind::redrive, ""}};  // in vain
    case 2:
      return {Sequence(sequence), {Decision::Kind::edit, R"({"customer":1,"units":"still many"})"}};  // in vain, too
    default:
      return {Sequence(sequence), {Decision::Kind::edit, good}};
  }
}

std::shared_ptr<Decisions> decisions(std::uint64_t count) {
  auto out = std::make_shared<Decisions>();
  const auto bad = bad_ones();
  for (std::uint64_t n = 0; n < count; ++n) {
    const Decided d = decision(n, bad[n]);
    out->add(d.sequence, d.decision);
  }
  return out;
}

// What the family holds after so many batches where the first `decided` decisions were there from the beginning.
const StoreWorld::Bytes& in_their_turn(std::uint64_t decided, std::uint32_t batches) {
  static std::mutex mutex;
  static std::map<std::uint64_t, std::vector<StoreWorld::Bytes>> all;
  const std::lock_guard lock(mutex);
  auto& known = all[decided];
  if (known.empty()) {
    StoreWorld world(1);
    world.decisions = decisions(decided);
    EXPECT_FALSE(world.open());
    known.push_back(world.bytes());
    while (world.done() < StoreWorld::kBatches) {
      EXPECT_TRUE(world.apply_next());
      known.push_back(world.bytes());
    }
  }
  return known[batches];
}

TEST(Settle, LateGivesTheBytesOfInTurnWhateverTheBatches) {
  const auto bad = bad_ones();
  ASSERT_GT(bad.size(), 12u);
  EXPECT_NE(in_their_turn(0, StoreWorld::kBatches), in_their_turn(bad.size(), StoreWorld::kBatches));
  EXPECT_EQ(in_their_turn(0, StoreWorld::kBatches), StoreWorld::expected().back());
  for (std::uint32_t seed = 1; seed <= 30; ++seed) {
    std::mt19937_64 random(seed);
    StoreWorld world(seed);
    world.decisions = std::make_shared<Decisions>();
    ASSERT_FALSE(world.open());
    std::uint64_t made = 0;
    for (std::uint64_t at = 0; at < kRecords;) {
      const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(1 + random() % 40, kRecords - at));
      ASSERT_TRUE(world.apply(at + 1, count));
      at += count;
      // Some at once, some much later, some by a start.
      std::vector<Decided> some;
      for (; made < bad.size() && bad[made] <= at && random() % 3 != 0; ++made) {
        some.push_back(decision(made, bad[made]));
        world.decisions->add(some.back().sequence, some.back().decision);
      }
      if (random() % 4 == 0) {
        ASSERT_FALSE(world.open());
      } else {
        ASSERT_TRUE(world.upkeep->settle(some));
      }
    }
    ASSERT_FALSE(world.open());
    EXPECT_EQ(world.bytes(), in_their_turn(made, StoreWorld::kBatches)) << "seed " << seed;
  }
}

TEST(Settle, ADryRunChangesNothing) {
  const auto bad = bad_ones();
  StoreWorld world(3);
  world.decisions = std::make_shared<Decisions>();
  ASSERT_FALSE(world.open());
  while (world.done() < StoreWorld::kBatches) ASSERT_TRUE(world.apply_next());
  const auto before = world.bytes();
  std::vector<Decided> all;
  for (std::uint64_t n = 0; n < bad.size(); ++n) all.push_back(decision(n, bad[n]));
  std::shared_ptr<const Snapshot> now = world.database->snapshot();
  const auto settling = world.upkeep->prepare_settling(all);
  ASSERT_TRUE(settling);
  EXPECT_GT(settling->done.size(), bad.size() / 2);
  EXPECT_GT(settling->not_counted.size(), bad.size() / 4);
  const WriteSet changes = *world.upkeep->to_write()->set;
  world.upkeep->forget();
  EXPECT_EQ(world.bytes(), before);

  // What it would be can be read: forwards, backwards and by key.
  const Overlay after(now, *world.upkeep->family(), changes);
  const auto& wanted = in_their_turn(bad.size(), StoreWorld::kBatches);
  const auto cursor = after.cursor(*world.upkeep->family(), "", "");
  StoreWorld::Bytes forwards;
  for (; cursor->valid(); cursor->next()) forwards.emplace(cursor->key(), cursor->value());
  EXPECT_EQ(forwards, wanted);
  StoreWorld::Bytes backwards;
  for (cursor->seek_to_last(); cursor->valid(); cursor->previous()) backwards.emplace(cursor->key(), cursor->value());
  EXPECT_EQ(backwards, wanted);
  for (const auto& [key, value] : wanted) EXPECT_EQ(after.get(*world.upkeep->family(), key)->value_or("-"), value);

  // And the rows that were resident are right afterwards.
  for (std::uint64_t n = 0; n < bad.size(); ++n) world.decisions->add(all[n].sequence, all[n].decision);
  ASSERT_TRUE(world.upkeep->settle(all));
  EXPECT_EQ(world.bytes(), wanted);
}

// A life: batches, now and then a flush, and as soon as a bad record is in quarantine the decision about it. The power
// goes anywhere; what was decided is in the system stream, and so survives.
bool live(StoreWorld& world, std::uint64_t& made) {
  static const auto bad = bad_ones();
  if (world.open()) return false;
  while (world.done() < StoreWorld::kBatches) {
    if (!world.apply_next()) return false;
    const std::uint64_t at = world.done() * StoreWorld::kBatch;
    while (made < bad.size() && bad[made] + 20 <= at) {
      const Decided d = decision(made, bad[made]);
      world.decisions->add(d.sequence, d.decision);
      ++made;
      if (!world.upkeep->settle({&d, 1})) return false;
      if (made % 4 == 0 && !world.flush()) return false;
    }
    if (world.done() % 3 == 0 && !world.flush()) return false;
  }
  world.close();
  return world.sim.files.powered();
}

TEST(Settle, ADecisionTakesEffectOnceWhereverThePowerGoes) {
  std::uint64_t steps = 0;
  {
    StoreWorld world(7);
    world.decisions = std::make_shared<Decisions>();
    std::uint64_t made = 0;
    ASSERT_TRUE(live(world, made));
    steps = world.sim.files.steps();
  }
  ASSERT_GT(steps, 100u);
  using Keep = CrashPolicy::Keep;
  std::atomic<std::uint32_t> undone = 0;
  for_each_world(steps, [&](std::uint64_t cut) {
    StoreWorld world(cut);
    world.decisions = std::make_shared<Decisions>();
    std::uint64_t made = 0;
    world.sim.files.cut_at_step(cut);
    for (int life = 0; life < 3; ++life) {
      if (life > 0) world.sim.files.cut_at_step(world.sim.files.steps() + 1 + (cut * 7 + life) % 23);
      (void)live(world, made);
      world.sim.power_off();
      world.close();
      world.sim.crash({.writes = cut % 2 == 0 ? Keep::none : Keep::all, .names = Keep::any});
      // As it fell back, without and then with the decisions: those that were not yet on disk take effect now.
      const auto all = std::exchange(world.decisions, nullptr);
      ASSERT_FALSE(world.open()) << cut;
      const auto fell_back = world.bytes();
      world.decisions = all;
      ASSERT_FALSE(world.open()) << cut;
      ASSERT_EQ(world.bytes(), in_their_turn(made, world.done())) << "cut " << cut << ", life " << life;
      undone += world.bytes() != fell_back ? 1 : 0;
      world.close();
    }
    ASSERT_TRUE(live(world, made)) << cut;
    ASSERT_FALSE(world.open());
    ASSERT_EQ(world.bytes(), in_their_turn(made, StoreWorld::kBatches)) << cut;
  });
  EXPECT_GT(undone, 0u);
}

// One key, more values than `collect` keeps, a map and a set.
class Full : public testing::Test {
 protected:
  static constexpr std::uint32_t kKept = 10'000;
  static constexpr std::uint32_t kAll = kKept + 30;

  // Keeps records 1 to kAll, of which every 97th was bad; `late`: it is decided afterwards.
  StoreWorld::Bytes bytes(bool late) {
    SimEnv sim(1);
    configure_sqlite();
    auto database = std::move(*Database::open(sim.env, "/data/views", 64 << 20));
    const Definition definition =
        std::get<Definition>(split("SELECT collect(v) AS all_of_them, collect(v, 7) AS some, map(m, v) AS latest, "
                                   "count(DISTINCT m) AS n, sum(n) AS s FROM t",
                                   {}));
    auto decisions = std::make_shared<Decisions>();
    std::vector<Decided> decided;
    for (std::uint32_t s = 97; s <= kAll; s += 97)
      decided.push_back({Sequence(s), {Decision::Kind::edit, record(s, "1")}});
    const auto decide = [&] {
      for (const Decided& d : decided) decisions->add(d.sequence, d.decision);
    };
    if (!late) decide();
    FieldSet fields;
    auto upkeep =
        std::move(std::get<0>(Upkeep::open(sim.env, definition, *database, *database->family("v1"), fields, 1 << 20,
                                           {decisions, [](HashKey, Sequence) { return ShardId(0); }})));
    ParsedBatch batch(fields, [](HashKey, Sequence) { return ShardId(0); });
    for (std::uint32_t from = 1; from <= kAll;) {
      const std::uint32_t count = std::min(kAll + 1 - from, late ? 700u : 1'300u);
      std::vector<std::string> texts;
      std::vector<Record> records(count);
      for (std::uint32_t i = 0; i < count; ++i)
        texts.push_back(record(from + i, (from + i) % 97 == 0 ? "\"bad\"" : "1"));
      for (std::uint32_t i = 0; i < count; ++i) {
        records[i].sequence = Sequence(from + i);
        records[i].data = texts[i];
      }
      batch.parse(records);
      EXPECT_TRUE(upkeep->apply(batch, Position::through(Sequence(from + count - 1))));
      from += count;
    }
    if (late) decide();
    EXPECT_TRUE(upkeep->settle());
    StoreWorld::Bytes out;
    const auto snapshot = database->snapshot();
    for (const auto cursor = snapshot->cursor(*upkeep->family(), "", ""); cursor->valid(); cursor->next())
      out.emplace(cursor->key(), cursor->value());
    return out;
  }

 private:
  static std::string record(std::uint32_t s, const std::string& n) {
    return R"({"v":)" + std::to_string(s) + R"(,"m":"m)" + std::to_string(s % 50) + R"(","n":)" + n + "}";
  }
};

TEST_F(Full, WhatCameLaterGivesWay) {
  const auto in_turn = bytes(false);
  std::size_t pieces = 0;
  for (const auto& [key, value] : in_turn) pieces += key[0] == kLineageSpace ? 1 : 0;
  EXPECT_GT(pieces, kKept / 20);
  EXPECT_EQ(in_turn.size() - pieces, 2 + kKept + 7 + 50 + 50);  // checkpoint, row, lists, map, set
  EXPECT_EQ(bytes(true), in_turn);
  // The newest, by sequence.
  std::set<std::string> values;
  for (const auto& [key, value] : in_turn) values.insert(value);
  EXPECT_TRUE(values.contains(std::to_string(kAll)));
  EXPECT_TRUE(values.contains(std::to_string(kAll - kKept + 1)));
  EXPECT_FALSE(values.contains(std::to_string(kAll - kKept)));
}

}  // namespace
}  // namespace tidemill::views
