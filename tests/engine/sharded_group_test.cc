// Groups whose shards are worked on one by one: each gets its own, and one that fails holds up no other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/group_world.h"

namespace tidemill {
namespace {

using namespace std::chrono_literals;
using ::testing::IsEmpty;

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

}  // namespace
}  // namespace tidemill
