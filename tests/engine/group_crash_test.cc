#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/engine/engine_world.h"
#include "tests/engine/file_consumer.h"

// Exactly once over crashes, with a consumer as simple as one can be: its effects and its checkpoint are one file, a
// line for each batch. The power goes at every step that changes the disk; afterwards each acknowledged record must be
// in the file once, in order.

namespace tidemill {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kShards = 3;

struct Life {
  std::uint64_t acknowledged = 0;
  bool created = false;
};

// Opens what is there, adds both groups, appends, stops. False: the power went.
bool play(EngineWorld& w, Life& life, int records) {
  if (w.try_open() != ErrorCode()) return false;
  if (w.engine->find(in_default("s")) == nullptr && !w.create("s", kShards)) return false;
  life.created = true;
  const auto stream = w.engine->find(in_default("s"));
  if (!w.engine->groups().add("s:whole", stream, std::make_shared<FileConsumer>(w.sim.files, "/effects/whole")))
    return false;
  if (!w.engine->groups().add("s:shards", stream, std::make_shared<FileShards>(w.sim.files))) return false;
  for (int i = 0; i < records; ++i) {
    const OneRecord& one = w.put(*stream, "key" + std::to_string(w.sim.random.below(20)));
    if (!one.ok()) return false;
    life.acknowledged = one.append.first.value();
    if (i % 3 == 0) w.sim.executor.run_for(700ms);
  }
  return w.engine->close().has_value();
}

std::vector<std::uint64_t> effects(EngineWorld& w, const std::string& file) {
  return FileConsumer::parse(w.sim.files.content("/effects/" + file).value_or("")).sequences;
}

void expect_once(EngineWorld& w, const Life& life) {
  const auto stream = w.engine->find(in_default("s"));
  ASSERT_TRUE(stream);
  ASSERT_GE(stream->log().durable().value(), life.acknowledged);
  w.sim.executor.run_for(2s);
  const auto all = stream->log().read(Sequence(1), {});
  ASSERT_TRUE(all);
  std::vector<std::uint64_t> expected;
  std::map<std::uint32_t, std::vector<std::uint64_t>> by_shard;
  for (const Record& r : all->records) {
    expected.push_back(r.sequence.value());
    by_shard[stream->shard_of(r.hash, r.sequence).value()].push_back(r.sequence.value());
  }
  EXPECT_EQ(effects(w, "whole"), expected);
  for (std::uint32_t i = 0; i < kShards; ++i) EXPECT_EQ(effects(w, "shard-" + std::to_string(i)), by_shard[i]);
  EXPECT_EQ(w.engine->groups().find(in_default("s:shards"))->lag_records, 0u);
}

void reopen_and_check(EngineWorld& w, const Life& life) {
  w.open();
  if (::testing::Test::HasFatalFailure() || !life.created) return;
  const auto stream = w.engine->find(in_default("s"));
  ASSERT_TRUE(stream);
  ASSERT_TRUE(w.engine->groups().add("s:whole", stream, std::make_shared<FileConsumer>(w.sim.files, "/effects/whole")));
  ASSERT_TRUE(w.engine->groups().add("s:shards", stream, std::make_shared<FileShards>(w.sim.files)));
  expect_once(w, life);
}

class GroupCrash : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Seeds, GroupCrash, ::testing::Range(1, 4));

TEST_P(GroupCrash, ExactlyOnceOverAPowerCutAtEveryStep) {
  std::uint64_t cut = 1;
  for (bool done = false; !done; ++cut) {
    EngineWorld w(static_cast<std::uint64_t>(GetParam()) * 100'000 + cut);
    Life life;
    w.sim.files.cut_at_step(cut);
    done = play(w, life, 12);
    w.crash();
    SCOPED_TRACE("cut at step " + std::to_string(cut));
    reopen_and_check(w, life);
    if (HasFailure()) return;
    ASSERT_LT(cut, 20'000u);
  }
  EXPECT_GT(cut, 80u);
}

TEST_P(GroupCrash, ExactlyOnceOverManyLivesAndFailures) {
  EngineWorld w(static_cast<std::uint64_t>(GetParam()));
  Life life;
  ASSERT_TRUE(play(w, life, 5));
  w.engine.reset();
  w.sim.executor.drop_all();
  for (int round = 0; round < 40; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    // Now and then the consumers' disk fails for a while.
    if (round % 3 == 1)
      w.sim.files.fail({.op = DiskOp::write, .path_contains = "/effects/", .nth = 2, .times = 3, .error = ENOSPC});
    if (round % 2 == 0) {
      w.sim.files.cut_at_step(w.sim.files.steps() + 1 + w.sim.random.below(120));
      play(w, life, 10);
      w.crash();
    } else {
      play(w, life, 10);
      w.kill();
      w.sim.files.clear_faults();
    }
  }
  w.crash();
  reopen_and_check(w, life);
  EXPECT_GT(life.acknowledged, 100u);
}

}  // namespace
}  // namespace tidemill
