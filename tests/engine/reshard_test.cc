#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "engine/definition.h"
#include "tests/engine/engine_world.h"

// Splits and merges: the table that says which shard a record belongs to, the events, and what groups do.

namespace tidemill {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr ErrorCode kIoError{5, boost::system::generic_category()};

Reshard at(Result<Reshard> change, std::uint64_t sequence) {
  EXPECT_TRUE(change);
  change->at = Sequence(sequence);
  return std::move(*change);
}

ErrorCode error_of(const Result<Reshard>& change) {
  return change ? ErrorCode() : change.error();
}

TEST(ShardTable, SplitInTheMiddleAndMergeBack) {
  auto shards = make_shards(2);
  ASSERT_TRUE(apply_reshard(shards, at(ShardTable(shards).plan_split(ShardId(0), {}), 10)));
  ASSERT_EQ(shards.size(), 4u);
  EXPECT_FALSE(shards[0].open);
  EXPECT_EQ(shards[0].last_sequence, Sequence(10));
  EXPECT_EQ(shards[2].range, (HashRange{{0, 0}, {0x3FFFFFFFFFFFFFFF, ~0ull}}));
  EXPECT_EQ(shards[3].range, (HashRange{{0x4000000000000000, 0}, {0x7FFFFFFFFFFFFFFF, ~0ull}}));
  EXPECT_THAT(shards[3].parents, ElementsAre(ShardId(0)));
  EXPECT_EQ(shards[3].first_sequence, Sequence(11));

  // The upper half of the first with the second.
  ASSERT_TRUE(apply_reshard(shards, at(ShardTable(shards).plan_merge(ShardId(1), ShardId(3)), 20)));
  const ShardTable table(shards);
  EXPECT_EQ(shards[4].range, (HashRange{{0x4000000000000000, 0}, kHashKeyMax}));
  EXPECT_THAT(shards[4].parents, ElementsAre(ShardId(3), ShardId(1)));
  EXPECT_EQ(table.open(), 2u);
  EXPECT_EQ(table.most_open(), 3u);
  EXPECT_TRUE(valid_shards(shards));

  const HashKey key{0x5000000000000000, 7};
  EXPECT_EQ(table.shard_of(key, Sequence(10)), ShardId(0));
  EXPECT_EQ(table.shard_of(key, Sequence(11)), ShardId(3));
  EXPECT_EQ(table.shard_of(key, Sequence(20)), ShardId(3));
  EXPECT_EQ(table.shard_of(key, Sequence(21)), ShardId(4));
  EXPECT_EQ(table.shard_of({0x9000000000000000, 0}, Sequence(20)), ShardId(1));
  EXPECT_THAT(table.children(ShardId(0)), ElementsAre(ShardId(2), ShardId(3)));
}

TEST(ShardTable, WhatCannotBeIsRefused) {
  auto shards = make_shards(3);
  const ShardTable table(shards);
  EXPECT_EQ(error_of(table.plan_split(ShardId(3), {})), EngineErrc::no_such_shard);
  EXPECT_EQ(error_of(table.plan_split(ShardId(0), shards[0].range.first)), EngineErrc::invalid_split);
  EXPECT_EQ(error_of(table.plan_split(ShardId(0), shards[1].range.first)), EngineErrc::invalid_split);
  EXPECT_TRUE(table.plan_split(ShardId(0), shards[0].range.last));
  EXPECT_EQ(error_of(table.plan_merge(ShardId(0), ShardId(2))), EngineErrc::not_adjacent);
  EXPECT_EQ(error_of(table.plan_merge(ShardId(1), ShardId(1))), EngineErrc::not_adjacent);
  EXPECT_EQ(error_of(ShardTable(make_shards(kOpenShardsMax)).plan_split(ShardId(5), {})), EngineErrc::too_many_shards);
  ASSERT_TRUE(apply_reshard(shards, at(table.plan_split(ShardId(0), HashKey{0, 1}), 5)));
  const ShardTable later(shards);
  EXPECT_EQ(error_of(later.plan_split(ShardId(0), {})), EngineErrc::shard_closed);
  EXPECT_EQ(error_of(later.plan_merge(ShardId(1), ShardId(0))), EngineErrc::shard_closed);
  EXPECT_EQ(error_of(later.plan_split(ShardId(3), {})), EngineErrc::invalid_split);  // one hash key

  // An event that does not fit changes nothing.
  const auto refused = [&](Reshard change) {
    const auto before = shards.size();
    EXPECT_EQ(apply_reshard(shards, change).error(), EngineErrc::invalid_definition);
    EXPECT_EQ(shards.size(), before);
    EXPECT_TRUE(shards[1].open);
  };
  const Reshard good = at(later.plan_split(ShardId(1), {}), 9);
  for (int what = 0; what < 6; ++what) {
    Reshard bad = good;
    if (what == 0) bad.closed = {ShardId(0)};
    if (what == 1) bad.opened.pop_back();
    if (what == 2) bad.opened[0].id = ShardId(1);
    if (what == 3) bad.opened[1].range.first = bad.opened[0].range.first;
    if (what == 4) bad.opened[1].range.last = kHashKeyMax;
    if (what == 5) bad.closed = {ShardId(1), ShardId(1)}, bad.opened.pop_back();
    refused(bad);
  }
  EXPECT_TRUE(apply_reshard(shards, good));
}

// Against the simplest model: a table for each sequence at which something changed.
TEST(ShardTable, ARecordStaysWithItsShardWhateverComes) {
  SimRandom random(11);
  for (int round = 0; round < 20; ++round) {
    auto shards = make_shards(static_cast<std::uint32_t>(1 + random.below(4)));
    std::map<Sequence, std::vector<ShardDefinition>> from;  // open then
    const auto remember = [&](Sequence first) {
      auto& open = from[first];
      open.clear();
      for (const auto& shard : shards)
        if (shard.open) open.push_back(shard);
    };
    remember(Sequence(1));
    std::size_t most = shards.size();
    Sequence now(0);
    for (int step = 0; step < 60; ++step) {
      now = next(now, random.below(4));  // often at the same place
      const ShardTable table(shards);
      const auto& open = from.rbegin()->second;
      const ShardId one = open[random.below(open.size())].id;
      const ShardId other = open[random.below(open.size())].id;
      auto change = random.one_in(2) ? table.plan_split(one, {}) : table.plan_merge(one, other);
      if (!change) continue;
      ASSERT_TRUE(apply_reshard(shards, at(std::move(change), now.value())));
      remember(next(now));
      most = std::max(most, from.rbegin()->second.size());
    }
    ASSERT_TRUE(valid_shards(shards));
    const ShardTable table(shards);
    EXPECT_EQ(table.most_open(), most);
    for (int i = 0; i < 2000; ++i) {
      const HashKey key{random.next(), random.next()};
      const Sequence sequence(1 + random.below(now.value() + 3));
      const auto& then = std::prev(from.upper_bound(sequence))->second;
      const auto owner = std::find_if(then.begin(), then.end(), [&](const auto& s) { return s.range.contains(key); });
      ASSERT_EQ(table.shard_of(key, sequence), owner->id);
      EXPECT_LE(table.find(owner->id)->first_sequence, sequence);
      EXPECT_GE(table.find(owner->id)->last_sequence, sequence);
    }
  }
}

// The example of docs/formats/system-stream.md.
TEST(Definition, GoldenReshard) {
  const std::string text =
      R"({"id":1,"at":4711,"closed":[3],"opened":[)"
      R"({"id":4,"first":"c0000000000000000000000000000000","last":"dfffffffffffffffffffffffffffffff"},)"
      R"({"id":5,"first":"e0000000000000000000000000000000","last":"ffffffffffffffffffffffffffffffff"}]})";
  EXPECT_EQ(encode_reshard(StreamId(1), at(ShardTable(make_shards(4)).plan_split(ShardId(3), {}), 4711)), text);
  const auto read = decode_reshard(text);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->stream, StreamId(1));
  EXPECT_EQ(encode_reshard(read->stream, read->change), text);
  SimRandom random(5);
  for (int round = 0; round < 5'000; ++round) {
    std::string bad = text;
    bad[random.below(bad.size())] = static_cast<char>(random.next());
    auto shards = make_shards(4);
    const auto mangled = decode_reshard(bad);
    if (mangled) (void)apply_reshard(shards, mangled->change);
    EXPECT_TRUE(valid_shards(shards)) << bad;
  }
}

TEST(EngineReshard, IsThereAfterARestart) {
  EngineWorld w;
  w.open();
  const auto stream = *w.create("s", 2);
  for (int i = 0; i < 5; ++i) w.put(*stream, "key" + std::to_string(i));
  const auto split = w.engine->split(in_default("s"), ShardId(1));
  ASSERT_TRUE(split);
  EXPECT_EQ(split->change.at, Sequence(5));
  EXPECT_EQ(split->stream->definition().shards.size(), 4u);
  w.put(*stream, "key");
  ASSERT_TRUE(w.engine->merge(in_default("s"), ShardId(2), ShardId(0)));
  // Settings change without touching shards, which a stream that somebody still holds knows, too.
  StreamDefinition changed = w.engine->find(in_default("s"))->definition();
  changed.partition_key = "other";
  changed.shards = make_shards(1);
  ASSERT_TRUE(w.engine->change(changed));
  EXPECT_EQ(stream->shards().now().table->all().size(), 5u);

  const auto expect_there = [&] {
    const auto now = w.engine->find(in_default("s"));
    EXPECT_EQ(now->definition().partition_key, "other");
    const auto& shards = now->definition().shards;
    ASSERT_EQ(shards.size(), 5u);
    EXPECT_EQ(shards[1].last_sequence, Sequence(5));
    EXPECT_EQ(shards[2].first_sequence, Sequence(6));
    EXPECT_EQ(shards[2].last_sequence, Sequence(6));
    EXPECT_EQ(shards[4].first_sequence, Sequence(7));
    EXPECT_EQ(now->shards().now().table->open(), 2u);
    EXPECT_EQ(now->shards().now().settled, kSequenceMax);
  };
  expect_there();
  w.restart();
  expect_there();
  w.kill();
  w.open();
  expect_there();
  EXPECT_EQ(w.engine->split(in_default("s"), ShardId(1)).error(), EngineErrc::shard_closed);
  EXPECT_EQ(w.engine->split(in_default("none"), ShardId(1)).error(), EngineErrc::no_such_stream);
}

TEST(EngineReshard, AnArchiveByShardHasAnEnd) {
  EngineWorld w;
  w.open();
  ASSERT_TRUE(w.create("s", kArchivedShardsMax));
  EXPECT_EQ(w.engine->split(in_default("s"), ShardId(0)).error(), EngineErrc::archived_by_shard);
  ASSERT_TRUE(w.engine->merge(in_default("s"), ShardId(0), ShardId(1)));
  ASSERT_TRUE(w.engine->split(in_default("s"), ShardId(2)));
  StreamDefinition without = w.engine->find(in_default("s"))->definition();
  without.archive.enabled = false;
  ASSERT_TRUE(w.engine->change(without));
  EXPECT_TRUE(w.engine->split(in_default("s"), ShardId(3)));
  ASSERT_TRUE(w.create("wide", kArchivedShardsMax + 1));
  EXPECT_TRUE(w.engine->split(in_default("wide"), ShardId(0)));
}

// The event cannot be written: nothing has changed, and groups go on.
TEST(EngineReshard, AFailureLeavesEverythingAsItWas) {
  EngineWorld w;
  w.open();
  const auto stream = *w.create("s", 1);
  w.put(*stream, "a");
  w.sim.files.fail({.op = DiskOp::sync_data, .path_contains = "/streams/0/", .nth = 1, .times = 1, .error = 5});
  EXPECT_FALSE(w.engine->split(in_default("s"), ShardId(0)));
  EXPECT_EQ(stream->shards().now().settled, kSequenceMax);
  EXPECT_EQ(stream->shards().now().shown->all().size(), 1u);
  EXPECT_TRUE(w.engine->split(in_default("s"), ShardId(0)));
  w.restart();
  EXPECT_EQ(w.engine->find(in_default("s"))->definition().shards.size(), 3u);
}

// The flush of the event failed, and the segment that would say so does not fit: after a crash the event may be there.
TEST(EngineReshard, OnAFullDiskNobodyActsAsIfItWereNotThere) {
  EngineWorld w;
  w.open();
  ASSERT_TRUE(w.create("s", 2));
  w.sim.files.set_capacity(w.sim.files.used());
  w.sim.files.fail({.op = DiskOp::sync_data, .path_contains = "/streams/0/", .error = ENOSPC});
  EXPECT_EQ(w.engine->split(in_default("s"), ShardId(0)).error(), StorageErrc::flush_failed);
  w.sim.files.set_capacity(1ull << 40);
  EXPECT_NE(w.engine->find(in_default("s"))->shards().now().settled, kSequenceMax);
  EXPECT_EQ(w.engine->split(in_default("s"), ShardId(0)).error(), StorageErrc::not_accepting);
  w.restart();
  EXPECT_EQ(w.engine->find(in_default("s"))->shards().now().settled, kSequenceMax);
  EXPECT_TRUE(w.engine->split(in_default("s"), ShardId(1)));
}

TEST(EngineReshard, AnEventThatDoesNotFitStopsTheStart) {
  for (const char* event :
       {R"({"id":1,"at":0,"closed":[7],"opened":[]})", R"({"id":9,"at":0,"closed":[],"opened":[]})"}) {
    EngineWorld w;
    w.open();
    ASSERT_TRUE(w.create("s", 1));
    ASSERT_TRUE(w.engine->system().append("stream.resharded", event));
    w.close();
    EXPECT_EQ(w.try_open(), StorageErrc::damaged);
  }
  EngineWorld w;
  w.open();
  ASSERT_TRUE(w.engine->system().append("stream.of_a_later_version", "{}"));
  w.close();
  EXPECT_EQ(w.try_open(), StorageErrc::damaged);
}

// ---- groups

// What all shards' consumers of a group have done, and that they did it in the order they must.
struct Deeds {
  explicit Deeds(EngineWorld& w) : world(w) {}
  const ShardTable& table() { return *(held = world.engine->find(in_default("s"))->shards().now().table); }

  EngineWorld& world;
  std::shared_ptr<const ShardTable> held;
  std::map<std::string, std::uint64_t> last_of_key;
  std::set<std::uint64_t> seen;
  std::map<ShardId, Position> checkpoints;  // survive a restart
  std::set<ShardId> closed;
  std::set<ShardId> at_work;
  std::uint64_t failing = 0;  // one call in so many
  bool fails() { return failing != 0 && world.sim.random.one_in(failing); }
};

class Worker final : public Consumer {
 public:
  Worker(std::shared_ptr<Deeds> deeds, ShardDefinition shard)
      : own_(std::move(deeds)), deeds_(*own_), shard_(std::move(shard)) {}
  ~Worker() override { deeds_.at_work.erase(shard_.id); }
  Result<Position> open() override {
    if (deeds_.fails()) return kIoError;
    EXPECT_TRUE(deeds_.at_work.insert(shard_.id).second);
    for (const ShardId parent : shard_.parents) {
      EXPECT_FALSE(deeds_.at_work.contains(parent)) << "a child begins beside its parent";
      const Sequence end(shard_.first_sequence.value() - 1);
      if (deeds_.table().find(parent)->first_sequence > end) continue;  // it never had a record
      EXPECT_EQ(deeds_.checkpoints[parent], Position::through(end));
    }
    return deeds_.checkpoints[shard_.id];
  }
  Result<void> process(const RecordBatch& batch) override {
    EXPECT_FALSE(closed_);
    if (deeds_.fails()) return kIoError;
    for (const Record& r : batch.records) {
      EXPECT_EQ(deeds_.table().shard_of(r.hash, r.sequence), shard_.id);
      EXPECT_TRUE(deeds_.seen.insert(r.sequence.value()).second) << r.sequence.value();
      auto& last = deeds_.last_of_key[std::string(r.key)];
      EXPECT_LT(last, r.sequence.value()) << r.key;
      last = r.sequence.value();
    }
    EXPECT_LE(batch.next, next(deeds_.table().find(shard_.id)->open ? Sequence(1'000'000)
                                                                    : deeds_.table().find(shard_.id)->last_sequence));
    deeds_.checkpoints[shard_.id] = Position::through(Sequence(batch.next.value() - 1));
    return {};
  }
  Position applied() const override { return deeds_.checkpoints[shard_.id]; }
  Position persisted() const override { return applied(); }
  Result<void> close() override {
    if (deeds_.fails()) return kIoError;
    EXPECT_FALSE(std::exchange(closed_, true));
    return {};
  }

 private:
  const std::shared_ptr<Deeds> own_;
  Deeds& deeds_;
  const ShardDefinition shard_;
  bool closed_ = false;
};

struct Workers final : ShardedConsumer {
  explicit Workers(std::shared_ptr<Deeds> d) : deeds(std::move(d)) {}
  Result<void> open() override { return {}; }
  Result<std::unique_ptr<Consumer>> open_shard(const ShardDefinition& shard) override {
    return std::unique_ptr<Consumer>(new Worker(deeds, shard));
  }
  Result<void> close() override { return {}; }
  const std::shared_ptr<Deeds> deeds;
};

class GroupReshard : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Seeds, GroupReshard, ::testing::Range(1, 13));

// Splits and merges at random under appends that do not wait, with consumers that fail now and then and restarts.
TEST_P(GroupReshard, InOrderWithinAKeyNothingLostNothingTwice) {
  EngineWorld w(static_cast<std::uint64_t>(GetParam()));
  const auto own = std::make_shared<Deeds>(w);
  Deeds& deeds = *own;
  w.open();
  ASSERT_TRUE(w.create("s", static_cast<std::uint32_t>(1 + w.sim.random.below(4))));
  std::size_t changes = 0;
  std::uint64_t sent = 0;
  SimRandom& random = w.sim.random;
  for (int life = 0; life < 4; ++life) {
    deeds.failing = GetParam() % 3 == 0 ? 8 : 0;
    const auto added = w.engine->groups().add("s:test", w.engine->find(in_default("s")), std::make_shared<Workers>(own),
                                              Groups::WhenNotOpened::keep_trying);
    ASSERT_TRUE(added);
    for (int i = 0; i < 150; ++i) {
      const auto stream = w.engine->find(in_default("s"));
      for (std::uint64_t n = random.below(20); n > 0; --n) {
        auto& one = *w.records.emplace_back(
            std::make_unique<OneRecord>("key" + std::to_string(random.below(12)), "{}", w.sim.clock.wall()));
        stream->log().append(&one.append);
        ++sent;
      }
      if (random.one_in(3)) w.sim.executor.run_for(std::chrono::microseconds(random.below(3000)));
      if (!random.one_in(3)) continue;
      const auto table = stream->shards().now().table;
      const auto pick = [&] { return table->all()[random.below(table->all().size())].id; };
      const auto done = random.one_in(2) ? w.engine->split(in_default("s"), pick())
                                         : w.engine->merge(in_default("s"), pick(), pick());
      changes += done.has_value();
    }
    deeds.failing = 0;
    w.sim.executor.run_for(60s);
    const auto status = w.engine->groups().find(in_default("s:test"));
    EXPECT_EQ(status->applied, Position::through(Sequence(sent)));
    EXPECT_EQ(status->lag_records, 0u);
    EXPECT_EQ(status->last_error, "");
    EXPECT_EQ(status->shards.size(), w.engine->find(in_default("s"))->shards().now().table->open());
    EXPECT_EQ(deeds.at_work.size(), status->shards.size());
    EXPECT_EQ(deeds.seen.size(), sent);
    for (const auto& one : w.records) ASSERT_TRUE(one->ok());
    if (HasFailure()) return;
    w.restart();
  }
  EXPECT_GT(changes, 20u);
}

// A parent that fails keeps its child waiting, and nobody else.
TEST(GroupReshardOne, AChildWaitsForItsParent) {
  EngineWorld w;
  const auto own = std::make_shared<Deeds>(w);
  Deeds& deeds = *own;
  w.open();
  const auto stream = *w.create("s", 2);
  ASSERT_TRUE(w.engine->groups().add("s:test", stream, std::make_shared<Workers>(own)));
  for (int i = 0; i < 20; ++i) w.put(*stream, "key" + std::to_string(i));
  w.sim.executor.run_for(1s);
  deeds.failing = 1;
  for (int i = 0; i < 20; ++i) w.put(*stream, "key" + std::to_string(i));
  ASSERT_TRUE(w.engine->split(in_default("s"), ShardId(0)));
  for (int i = 0; i < 20; ++i) w.put(*stream, "key" + std::to_string(i));
  w.sim.executor.run_for(1s);
  EXPECT_THAT(deeds.at_work, ElementsAre(ShardId(0), ShardId(1)));
  const auto status = w.engine->groups().find(in_default("s:test"));
  ASSERT_EQ(status->shards.size(), 4u);  // the parent, the other, and the children that wait
  EXPECT_GT(status->shards[2].lag_records, 0u);
  EXPECT_EQ(status->shards[2].applied, Position::through(Sequence(40)));
  EXPECT_EQ(status->applied, Position::through(Sequence(20)));
  deeds.failing = 0;
  w.sim.executor.run_for(10s);
  EXPECT_THAT(deeds.at_work, ElementsAre(ShardId(1), ShardId(2), ShardId(3)));
  EXPECT_EQ(deeds.seen.size(), 60u);
  EXPECT_EQ(w.engine->groups().find(in_default("s:test"))->applied, Position::through(Sequence(60)));
}

// A group that comes years later sees every shard that ever was, parents first.
TEST(GroupReshardOne, ALateGroupGoesThroughAllOfIt) {
  EngineWorld w;
  w.open();
  const auto stream = *w.create("s", 1);
  const auto put = [&] {
    for (int i = 0; i < 30; ++i) w.put(*stream, "key" + std::to_string(i % 7));
  };
  put();
  ASSERT_TRUE(w.engine->split(in_default("s"), ShardId(0)));
  ASSERT_TRUE(w.engine->split(in_default("s"), ShardId(1)));  // at once: the shard between has no record
  put();
  ASSERT_TRUE(w.engine->merge(in_default("s"), ShardId(2), ShardId(4)));
  put();
  const auto own = std::make_shared<Deeds>(w);
  Deeds& deeds = *own;
  ASSERT_TRUE(w.engine->groups().add("s:late", stream, std::make_shared<Workers>(own)));
  w.sim.executor.run_for(1s);
  EXPECT_EQ(deeds.seen.size(), 90u);
  EXPECT_THAT(deeds.at_work, ElementsAre(ShardId(3), ShardId(5)));
}

}  // namespace
}  // namespace tidemill
