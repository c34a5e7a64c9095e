#include "engine/group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "engine/errors.h"
#include "tests/engine/fake_log.h"
#include "tests/support/sim_env.h"

namespace tidemill {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr ErrorCode kIoError{5, boost::system::generic_category()};

// Keeps what it was given, as a test of a consumer's contract would: no two calls at once, no gap, none twice.
struct TestConsumer final : Consumer {
  std::vector<std::uint64_t> sequences;
  std::vector<LostRange> lost;
  Position at;
  std::size_t calls = 0;
  std::size_t ticks = 0;
  int failing = 0;
  int not_opening = 0;
  bool closed = false;
  bool busy = false;
  std::optional<MonotonicTime> due;
  std::function<void()> inside;  // runs within process()

  Result<Position> open() override {
    if (not_opening-- > 0) return kIoError;
    return at;
  }
  Result<void> process(const RecordBatch& batch) override {
    EXPECT_FALSE(busy);
    EXPECT_FALSE(closed);
    ++calls;
    if (failing > 0) {
      --failing;
      return kIoError;
    }
    busy = true;
    if (inside) inside();
    for (const Record& r : batch.records) {
      EXPECT_GT(r.sequence, at.sequence());
      EXPECT_LT(r.sequence, batch.next);
      EXPECT_TRUE(sequences.empty() || r.sequence.value() > sequences.back());
      sequences.push_back(r.sequence.value());
    }
    lost.insert(lost.end(), batch.lost.begin(), batch.lost.end());
    EXPECT_GT(batch.next, at.sequence());
    at = Position::through(Sequence(batch.next.value() - 1));
    busy = false;
    return {};
  }
  std::optional<MonotonicTime> next_tick() override { return due; }
  Result<void> tick() override {
    EXPECT_FALSE(busy);
    ++ticks;
    due.reset();
    return {};
  }
  Position applied() const override { return at; }
  Position persisted() const override { return at; }
  Result<void> close() override {
    EXPECT_FALSE(closed);
    closed = true;
    return {};
  }
};

struct TestSharded final : ShardedConsumer {
  std::map<ShardId, TestConsumer*> shards;  // owned by the runtime
  std::map<ShardId, Position> at;
  bool closed = false;
  int not_opening = 0;
  ShardId watched;
  Position* at_close = nullptr;  // where the watched one was then

  Result<void> open() override {
    if (not_opening-- > 0) return kIoError;
    return {};
  }
  Result<std::unique_ptr<Consumer>> open_shard(const ShardDefinition& shard) override {
    auto consumer = std::make_unique<TestConsumer>();
    consumer->at = at[shard.id];
    shards[shard.id] = consumer.get();
    return std::unique_ptr<Consumer>(std::move(consumer));
  }
  Result<void> close() override {
    for (const auto& [id, shard] : shards) EXPECT_TRUE(shard->closed);
    if (at_close != nullptr) *at_close = shards[watched]->at;
    closed = true;
    return {};
  }
};

struct GroupTest : ::testing::TestWithParam<int> {
  SimEnv sim{static_cast<std::uint64_t>(GetParam())};
  std::shared_ptr<FakeLog> log = std::make_shared<FakeLog>(sim.env);
  std::shared_ptr<Stream> stream = make_stream(4);
  std::shared_ptr<TestConsumer> consumer = std::make_shared<TestConsumer>();
  std::shared_ptr<TestSharded> sharded = std::make_shared<TestSharded>();
  std::unique_ptr<Groups> groups = std::make_unique<Groups>(sim.env);

  std::shared_ptr<Stream> make_stream(std::uint32_t shards) {
    StreamDefinition definition;
    definition.name = "s";
    definition.shards = make_shards(shards);
    return std::make_shared<Stream>(definition, log);
  }
  void put(int n) {
    for (int i = 0; i < n; ++i) log->put("key" + std::to_string(sim.random.below(50)), "{}");
  }
  void run() { sim.executor.run_for(6ms); }  // commits of five milliseconds are gathered
  GroupStatus status(const std::string& name = "s:test") { return *groups->find(in_default(name)); }
};
INSTANTIATE_TEST_SUITE_P(Seeds, GroupTest, ::testing::Range(1, 9));

TEST_P(GroupTest, ReadsAllInOrderFromTheCheckpointOn) {
  put(10);
  run();
  consumer->at = Position::through(Sequence(3));
  ASSERT_TRUE(groups->add("s:test", stream, consumer));
  run();
  EXPECT_THAT(consumer->sequences, ElementsAre(4, 5, 6, 7, 8, 9, 10));
  put(2);
  run();
  EXPECT_EQ(consumer->sequences.size(), 9u);
  EXPECT_EQ(status().applied, Position::through(Sequence(12)));
  EXPECT_EQ(status().lag_records, 0u);
  EXPECT_EQ(status().lag_seconds, 0);
  EXPECT_EQ(status().last_error, "");
}

TEST_P(GroupTest, CommitsThatComeTogetherAreOneRun) {
  ASSERT_TRUE(groups->add("s:test", stream, consumer));
  run();
  const auto put_at_once = [&] {
    put(1);
    sim.executor.run_until_idle();
  };
  put_at_once();
  EXPECT_EQ(consumer->sequences.size(), 1u);  // after a quiet time: at once
  for (int i = 0; i < 9; ++i) {
    sim.executor.run_for(25us);
    put_at_once();
  }
  EXPECT_EQ(consumer->calls, 1u);
  sim.executor.run_for(250us);
  EXPECT_EQ(consumer->calls, 2u);
  EXPECT_EQ(consumer->sequences.size(), 10u);
}

TEST_P(GroupTest, IdleGroupRunsNothing) {
  ASSERT_TRUE(groups->add("s:test", stream, consumer));
  ASSERT_TRUE(groups->add("s:sharded", make_stream(10'000), sharded));
  put(5);
  run();
  const std::uint64_t before = sim.executor.tasks_run();
  sim.executor.run_for(std::chrono::hours(1));
  EXPECT_EQ(sim.executor.tasks_run(), before);
  EXPECT_EQ(sim.executor.timers(), 0u);
}

TEST_P(GroupTest, ErrorsAreRetriedWithGrowingPausesAndShown) {
  ASSERT_TRUE(groups->add("s:test", stream, consumer));
  run();
  consumer->failing = 4;
  put(3);
  run();
  EXPECT_EQ(consumer->calls, 1u);
  EXPECT_THAT(status().last_error, ::testing::HasSubstr(kIoError.message()));
  EXPECT_EQ(status().lag_records, 3u);
  put(1);  // a publish does not shorten the pause
  run();
  EXPECT_EQ(consumer->calls, 1u);
  sim.executor.run_for(80ms);
  EXPECT_EQ(consumer->calls, 1u);
  sim.executor.run_for(10ms);
  EXPECT_EQ(consumer->calls, 2u);
  sim.executor.run_for(700ms);  // 200, 400
  EXPECT_EQ(consumer->calls, 4u);
  EXPECT_THAT(consumer->sequences, IsEmpty());
  EXPECT_NEAR(*status().lag_seconds, 0.8, 0.1);
  EXPECT_EQ(status().retries, 4u);
  sim.executor.run_for(1s);
  EXPECT_THAT(consumer->sequences, ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(status().last_error, "");
  EXPECT_EQ(status().lag_seconds, 0);
}

TEST_P(GroupTest, ReadErrorsAreRetriedToo) {
  log->fail_reads(2, StorageErrc::damaged);
  ASSERT_TRUE(groups->add("s:test", stream, consumer));
  put(2);
  run();
  EXPECT_NE(status().last_error, "");
  sim.executor.run_for(1s);
  EXPECT_EQ(status().last_error, "");
  EXPECT_THAT(consumer->sequences, ElementsAre(1, 2));
}

TEST_P(GroupTest, LostRangesReachTheConsumer) {
  put(6);
  run();
  log->lose(Sequence(2), Sequence(4));
  ASSERT_TRUE(groups->add("s:test", stream, consumer));
  ASSERT_TRUE(groups->add("s:sharded", stream, sharded));
  run();
  EXPECT_THAT(consumer->sequences, ElementsAre(1, 5, 6));
  ASSERT_EQ(consumer->lost.size(), 1u);
  EXPECT_EQ(consumer->lost[0].last, Sequence(4));
  for (const auto& [id, shard] : sharded->shards) EXPECT_EQ(shard->lost.size(), 1u);
}

TEST_P(GroupTest, WhatRetentionTookIsSaid) {
  put(6);
  run();
  log->remove_before(Sequence(4));
  ASSERT_TRUE(groups->add("s:test", stream, consumer));
  run();
  EXPECT_THAT(consumer->sequences, ElementsAre(4, 5, 6));
  ASSERT_EQ(consumer->lost.size(), 1u);
  EXPECT_EQ(consumer->lost[0].first, Sequence(1));
  EXPECT_EQ(consumer->lost[0].last, Sequence(3));
}

TEST_P(GroupTest, CheckpointBeyondTheLogIsAnErrorAndNoSkip) {
  put(2);
  run();
  consumer->at = Position::through(Sequence(5));
  sharded->at[ShardId(1)] = Position::through(Sequence(5));
  ASSERT_TRUE(groups->add("s:test", stream, consumer));
  ASSERT_TRUE(groups->add("s:sharded", stream, sharded));
  put(1);
  sim.executor.run_for(1s);
  EXPECT_NE(status().last_error, "");
  EXPECT_NE(status("s:sharded").last_error, "");
  EXPECT_THAT(consumer->sequences, IsEmpty());
}

TEST_P(GroupTest, TicksComeWhenDue) {
  consumer->due = sim.clock.monotonic() + 500ms;
  ASSERT_TRUE(groups->add("s:test", stream, consumer));
  ASSERT_TRUE(groups->add("s:sharded", stream, sharded));
  run();
  put(40);
  run();
  sharded->shards[ShardId(2)]->due = sim.clock.monotonic() + 700ms;
  put(40);
  run();
  sim.executor.run_for(480ms);
  EXPECT_EQ(consumer->ticks, 0u);
  sim.executor.run_for(10ms);
  EXPECT_EQ(consumer->ticks, 1u);
  sim.executor.run_for(10s);
  EXPECT_EQ(consumer->ticks, 1u);
  EXPECT_EQ(sharded->shards[ShardId(2)]->ticks, 1u);
  EXPECT_EQ(sharded->shards[ShardId(1)]->ticks, 0u);
}

// Ticks far ahead, fixed or moving with each batch, and commits all the time: the timers must not pile up.
TEST_P(GroupTest, TimersDoNotPileUp) {
  ASSERT_TRUE(groups->add("s:test", stream, consumer));
  ASSERT_TRUE(groups->add("s:sharded", stream, sharded));
  for (int i = 0; i < 500; ++i) {
    consumer->due = sim.clock.monotonic() + 60s;
    for (const auto& [id, shard] : sharded->shards)
      shard->due = sim.clock.monotonic() + std::chrono::seconds(id.value() % 2 == 0 ? 60 : 90 - i % 20);
    put(1);
    sim.executor.run_for(300us);
  }
  EXPECT_LE(sim.executor.timers(), 30u);
  EXPECT_EQ(consumer->ticks, 0u);
  sim.executor.run_for(100s);
  EXPECT_EQ(consumer->ticks, 1u);
  for (const auto& [id, shard] : sharded->shards) EXPECT_EQ(shard->ticks, 1u);
  EXPECT_EQ(sim.executor.timers(), 0u);
}

TEST_P(GroupTest, ShardsGetTheirOwnInOrder) {
  for (std::uint32_t i = 0; i < 4; ++i) sharded->at[ShardId(i)] = Position::through(Sequence(10 * i));
  put(60);
  run();
  ASSERT_TRUE(groups->add("s:test", stream, sharded));
  put(40);
  run();
  auto all = log->read(Sequence(1), {});
  std::map<ShardId, std::vector<std::uint64_t>> expected;
  for (const Record& r : all->records) {
    const ShardId shard = stream->shard_of(r.hash, r.sequence);
    if (r.sequence > sharded->at[shard].sequence()) expected[shard].push_back(r.sequence.value());
  }
  for (const auto& [id, shard] : sharded->shards) EXPECT_EQ(shard->sequences, expected[id]);
  EXPECT_EQ(status().lag_records, 0u);
  EXPECT_EQ(status().applied, Position::through(Sequence(100)));
  ASSERT_EQ(status().shards.size(), 4u);
}

TEST_P(GroupTest, OneFailingShardHoldsUpNoOther) {
  ASSERT_TRUE(groups->add("s:test", stream, sharded));
  TestConsumer& bad = *sharded->shards[ShardId(0)];
  bad.failing = 3;
  put(100);
  run();
  EXPECT_THAT(bad.sequences, IsEmpty());
  for (const auto& [id, shard] : sharded->shards) EXPECT_TRUE(shard == &bad || shard->sequences.size() > 5u);
  EXPECT_NE(status().last_error, "");
  EXPECT_GT(status().shards[0].lag_records, 0u);
  EXPECT_EQ(status().shards[1].lag_records, 0u);
  sim.executor.run_for(1s);
  EXPECT_EQ(status().last_error, "");
  EXPECT_EQ(status().lag_records, 0u);
}

// Whatever one shard has waiting: it must not fill the room for reading ahead.
TEST_P(GroupTest, AShardThatFailsForLongHoldsUpNoOtherAndCatchesUp) {
  ASSERT_TRUE(groups->add("s:test", stream, sharded));
  TestConsumer& bad = *sharded->shards[ShardId(2)];
  bad.failing = 1'000'000;
  const std::string large = "{\"x\":\"" + std::string(1 << 18, 'x') + "\"}";
  int puts = 0;
  const auto put_large = [&](int n) {
    for (int i = 0; i < n; ++i, ++puts) log->put("k" + std::to_string(puts), large);
    sim.executor.run_for(5s);
  };
  put_large(200);  // 50 MB; the room is 8
  const auto others_have_theirs = [&] {
    std::uint64_t got = 0;
    for (const auto& [id, shard] : sharded->shards) got += shard->sequences.size();
    std::uint64_t theirs = 0;
    const auto whole = log->read(Sequence(1), {.bytes_max = 1 << 30});
    for (const Record& r : whole->records) theirs += stream->shard_of(r.hash, r.sequence) != ShardId(2);
    EXPECT_EQ(got, theirs);
  };
  others_have_theirs();
  EXPECT_THAT(bad.sequences, IsEmpty());
  auto now = status();
  EXPECT_EQ(now.applied, Position());
  EXPECT_NE(now.last_error, "");
  EXPECT_THAT(now.shards[2].last_error, ::testing::HasSubstr("shard 2"));
  EXPECT_EQ(now.shards[1].last_error, "");
  EXPECT_EQ(now.shards[2].lag_records, 200u);  // it may be all of them: nobody has looked
  EXPECT_EQ(now.shards[1].lag_records, 0u);
  EXPECT_EQ(now.shards[1].applied, Position::through(Sequence(200)));
  EXPECT_GE(*now.shards[2].lag_seconds, 5);
  EXPECT_EQ(now.shards[1].lag_seconds, 0);
  put_large(100);
  others_have_theirs();

  // Well again, while more comes.
  bad.failing = 1;
  put_large(50);
  sim.executor.run_for(120s);
  put_large(50);
  now = status();
  EXPECT_EQ(now.last_error, "");
  EXPECT_EQ(now.shards[2].last_error, "");
  EXPECT_EQ(now.lag_records, 0u);
  EXPECT_EQ(now.applied, Position::through(Sequence(400)));
  std::vector<std::uint64_t> expected;
  const auto whole = log->read(Sequence(1), {.bytes_max = 1 << 30});
  for (const Record& r : whole->records)
    if (stream->shard_of(r.hash, r.sequence) == ShardId(2)) expected.push_back(r.sequence.value());
  EXPECT_EQ(bad.sequences, expected);  // each once, in order
  ASSERT_TRUE(groups->close());
}

// Closing must not tell it that it has seen what was dropped.
TEST_P(GroupTest, AShardLeftBehindIsClosedWhereItIs) {
  ASSERT_TRUE(groups->add("s:test", stream, sharded));
  TestConsumer* bad = sharded->shards[ShardId(1)];
  bad->failing = 1'000'000;
  const std::string large = "{\"x\":\"" + std::string(1 << 20, 'x') + "\"}";
  for (int i = 0; i < 40; ++i) log->put("k" + std::to_string(i), large);
  sim.executor.run_for(5s);
  Position at;
  bad->inside = [&] { ADD_FAILURE() << "applied"; };
  bad->failing = 0;
  EXPECT_EQ(status().shards[1].lag_records, 40u);
  sharded->at_close = &at;
  sharded->watched = ShardId(1);
  ASSERT_TRUE(groups->remove(in_default("s:test")));
  EXPECT_EQ(at, Position());
}

TEST_P(GroupTest, WhatCannotBeOpenedIsShownAndTriedAgain) {
  put(30);
  run();
  consumer->not_opening = sharded->not_opening = 3;
  using When = Groups::WhenNotOpened;
  EXPECT_EQ(groups->add("s:gone", stream, consumer).error(), kIoError);
  EXPECT_FALSE(groups->find(in_default("s:gone")));
  ASSERT_TRUE(groups->add("s:test", stream, consumer, When::keep_trying));
  ASSERT_TRUE(groups->add("s:sharded", stream, sharded, When::keep_trying));
  for (const char* name : {"s:test", "s:sharded"}) {
    EXPECT_THAT(status(name).last_error, ::testing::HasSubstr("opening"));
    EXPECT_EQ(status(name).lag_records, 30u);
  }
  EXPECT_EQ(groups->list().size(), 2u);
  sim.executor.run_for(2s);
  put(10);
  run();
  EXPECT_EQ(consumer->sequences.size(), 40u);
  for (const char* name : {"s:test", "s:sharded"}) {
    EXPECT_EQ(status(name).last_error, "");
    EXPECT_EQ(status(name).applied, Position::through(Sequence(40)));
  }
  ASSERT_TRUE(groups->close());
}

TEST_P(GroupTest, WhatWasNeverOpenedIsNotClosed) {
  consumer->not_opening = sharded->not_opening = 1'000'000;
  using When = Groups::WhenNotOpened;
  ASSERT_TRUE(groups->add("s:test", stream, consumer, When::keep_trying));
  ASSERT_TRUE(groups->add("s:sharded", stream, sharded, When::keep_trying));
  sim.executor.run_for(100s);
  EXPECT_GT(status().retries, 5u);
  EXPECT_LT(status().retries, 20u);
  ASSERT_TRUE(groups->remove(in_default("s:test")));
  ASSERT_TRUE(groups->close());
  EXPECT_FALSE(consumer->closed);
  EXPECT_FALSE(sharded->closed);
  EXPECT_EQ(consumer.use_count(), 1);
  EXPECT_EQ(sharded.use_count(), 1);
}

TEST_P(GroupTest, ReadAheadIsBounded) {
  ASSERT_TRUE(groups->add("s:test", stream, sharded));
  for (const auto& [id, shard] : sharded->shards) shard->failing = 1000;
  const std::string large = "{\"x\":\"" + std::string(1 << 20, 'x') + "\"}";
  for (int i = 0; i < 40; ++i) log->put("k" + std::to_string(i), large);
  sim.executor.run_for(10s);
  // 8 MiB and a batch of 4 were taken; the rest stays in the log.
  EXPECT_GT(status().shards[0].lag_records, 40u - 15u);
  const std::size_t reads = log->reads();
  sim.executor.run_for(10s);
  EXPECT_LE(log->reads(), reads + 2);  // by shards that were left behind before the others failed as well
  for (const auto& [id, shard] : sharded->shards) shard->failing = 0;
  sim.executor.run_for(60s);
  EXPECT_EQ(status().lag_records, 0u);
  std::size_t got = 0;
  for (const auto& [id, shard] : sharded->shards) got += shard->sequences.size();
  EXPECT_EQ(got, 40u);
}

TEST_P(GroupTest, IdleShardsLearnHowFarTheStreamWasRead) {
  ASSERT_TRUE(groups->add("s:test", stream, sharded));
  for (int i = 0; i < 30; ++i) {
    log->put("always the same", "{}");
    sim.executor.run_for(100ms);
  }
  const ShardId busy = stream->shard_of(hash_key("always the same"), Sequence(1));
  for (const auto& [id, shard] : sharded->shards) {
    EXPECT_GE(shard->at, Position::through(Sequence(15)));
    EXPECT_TRUE(id == busy || shard->calls <= 4u);
  }
  ASSERT_TRUE(groups->remove(in_default("s:test")));
  EXPECT_TRUE(sharded->closed);
}

TEST_P(GroupTest, CloseTellsEveryShardTheEnd) {
  // The runtime owns the shards' consumers; they note their last position here.
  struct Noting final : ShardedConsumer {
    std::map<ShardId, Position> last;
    struct One final : Consumer {
      Noting& owner;
      ShardId id;
      Position at;
      One(Noting& o, ShardId i) : owner(o), id(i) {}
      Result<Position> open() override { return at; }
      Result<void> process(const RecordBatch& batch) override {
        at = Position::through(Sequence(batch.next.value() - 1));
        return {};
      }
      Position applied() const override { return at; }
      Position persisted() const override { return at; }
      Result<void> close() override {
        owner.last[id] = at;
        return {};
      }
    };
    Result<void> open() override { return {}; }
    Result<std::unique_ptr<Consumer>> open_shard(const ShardDefinition& shard) override {
      return std::unique_ptr<Consumer>(new One(*this, shard.id));
    }
    Result<void> close() override { return {}; }
  };
  const auto noting = std::make_shared<Noting>();
  ASSERT_TRUE(groups->add("s:test", make_stream(1000), noting));
  put(30);
  run();
  ASSERT_TRUE(groups->close());
  EXPECT_EQ(noting->last.size(), 1000u);
  for (const auto& [id, position] : noting->last) EXPECT_EQ(position, Position::through(Sequence(30)));
}

TEST_P(GroupTest, RemoveAndCloseEndCleanly) {
  ASSERT_TRUE(groups->add("s:test", stream, consumer));
  ASSERT_TRUE(groups->add("s:sharded", stream, sharded));
  EXPECT_EQ(groups->add("s:test", stream, consumer).error(), EngineErrc::group_exists);
  put(20);
  for (int i = 0; i < GetParam(); ++i) sim.executor.run_one();  // anywhere in the middle
  ASSERT_TRUE(groups->remove(in_default("s:test")));
  EXPECT_TRUE(consumer->closed);
  EXPECT_FALSE(groups->find(in_default("s:test")));
  EXPECT_EQ(groups->remove(in_default("s:test")).error(), EngineErrc::no_such_group);
  const std::size_t had = consumer->sequences.size();
  put(5);
  run();
  EXPECT_EQ(consumer->sequences.size(), had);
  ASSERT_TRUE(groups->close());
  ASSERT_TRUE(groups->close());
  EXPECT_TRUE(sharded->closed);
  EXPECT_EQ(log->listeners(), 0u);
  EXPECT_EQ(groups->add("s:late", stream, std::make_shared<TestConsumer>()).error(), EngineErrc::draining);
}

TEST_P(GroupTest, CloseDoesNotWaitForARetry) {
  ASSERT_TRUE(groups->add("s:test", stream, consumer));
  ASSERT_TRUE(groups->add("s:sharded", stream, sharded));
  consumer->failing = 1000;
  for (const auto& [id, shard] : sharded->shards) shard->failing = 1000;
  put(20);
  sim.executor.run_for(20s);
  const MonotonicTime before = sim.clock.monotonic();
  ASSERT_TRUE(groups->close());
  EXPECT_EQ(sim.clock.monotonic(), before);
  EXPECT_TRUE(consumer->closed);
  EXPECT_TRUE(sharded->closed);
}

TEST_P(GroupTest, LagInSecondsIsTheAgeOfTheOldest) {
  ASSERT_TRUE(groups->add("s:test", stream, sharded));
  for (const auto& [id, shard] : sharded->shards) shard->failing = 1000;
  log->put("a", "{}");
  sim.executor.run_for(10s);
  log->put("b", "{}");
  sim.executor.run_for(5s);
  EXPECT_NEAR(*status().lag_seconds, 15, 0.1);
  EXPECT_NEAR(*status().shards[stream->shard_of(hash_key("a"), Sequence(1)).value()].lag_seconds, 15, 0.1);
}

TEST_P(GroupTest, LagInSecondsCountsFromTheArrivalOfTheFirstThatIsMissing) {
  log->put("a", "{}");
  sim.executor.run_for(10s);
  log->put("b", "{}");
  sim.executor.run_for(5s);
  consumer->at = Position::through(Sequence(1));
  consumer->failing = 1000;
  ASSERT_TRUE(groups->add("s:test", stream, consumer));
  EXPECT_EQ(status().lag_seconds, 5);  // not since the group was started
  run();
  EXPECT_NEAR(*status().lag_seconds, 5, 0.01);
  log->fail_reads(1, kIoError);
  EXPECT_EQ(status().lag_seconds, std::nullopt);
}

// A consumer that goes without close: nothing may touch it afterwards.
TEST_P(GroupTest, DestructionWithoutCloseIsQuiet) {
  ASSERT_TRUE(groups->add("s:test", stream, consumer));
  ASSERT_TRUE(groups->add("s:sharded", stream, sharded));
  put(20);
  for (int i = 0; i < 2 * GetParam(); ++i) sim.executor.run_one();
  groups.reset();
  run();
  EXPECT_FALSE(consumer->closed);
}

}  // namespace
}  // namespace tidemill
