#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/group.h"
#include "tests/engine/fake_log.h"
#include "tests/support/sim_env.h"

namespace tidemill {

inline constexpr ErrorCode kIoError{5, boost::system::generic_category()};

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
  void run() { sim.executor.run_for(std::chrono::milliseconds(6)); }  // commits of five milliseconds are gathered
  GroupStatus status(const std::string& name = "s:test") { return *groups->find(in_default(name)); }
};

}  // namespace tidemill
