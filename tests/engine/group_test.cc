#include "engine/group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/errors.h"
#include "tests/engine/group_world.h"

namespace tidemill {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

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
