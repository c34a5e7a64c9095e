// The archive as it runs in the server: a real log, the groups' runtime, power cuts and kills.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "consumers/archive/archive.h"
#include "tests/engine/engine_world.h"
#include "tests/support/real_env.h"

namespace tidemill {
namespace {

using namespace std::chrono_literals;

class ArchiveInEngine : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  std::uint32_t shards() const { return GetParam(); }

  bool start(EngineWorld& w) {
    if (w.try_open() != ErrorCode()) return false;
    if (w.engine->find(in_default("s")) == nullptr) {
      StreamDefinition definition;
      definition.name = "s";
      definition.archive.size_bytes = 200;
      if (!w.engine->create(std::move(definition), shards())) return false;
    }
    return add_archive(w.engine->groups(), w.sim.env, w.engine->find(in_default("s")), "/data/archive/s").has_value();
  }

  // Appends and lets time pass; then stops. False: the power went.
  bool live(EngineWorld& w, int records, std::uint64_t& acknowledged) {
    if (!start(w)) return false;
    for (int i = 0; i < records; ++i) {
      const std::string key = "key" + std::to_string(w.sim.random.below(9));
      const OneRecord& one = w.put(*w.engine->find(in_default("s")), key, "{\"n\":" + std::to_string(++number_) + "}");
      if (!one.ok()) return false;
      acknowledged = std::max(acknowledged, one.append.first.value());
      if (i % 4 == 0) w.sim.executor.run_for(std::chrono::seconds(w.sim.random.below(40)));
    }
    return w.engine->close().has_value();
  }

  // What is durable is in exactly one text file each, in the order of the log within a key.
  void check(EngineWorld& w, std::uint64_t acknowledged) {
    ASSERT_TRUE(start(w));
    const auto log = w.engine->find(in_default("s"))->shared_log();
    ASSERT_GE(log->durable().value(), acknowledged);
    w.sim.executor.run_for(62s);  // by age, with nobody sending anything
    std::multiset<std::string> found;
    Filed filed;
    for (const auto& path : w.sim.files.all_files()) {
      EXPECT_FALSE(path.ends_with(".part")) << path;
      if (!path.ends_with(".txt") || path.starts_with("/data/archive/_")) continue;
      const std::string text = *w.sim.files.content(path);
      ++filed.files;
      filed.bytes += text.size();
      for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
        found.insert(text.substr(at, text.find('\n', at) - at));
    }
    const auto status = w.engine->groups().find(in_default("s:archive"));
    ASSERT_TRUE(status && status->filed);
    EXPECT_EQ(status->filed->files, filed.files);
    EXPECT_EQ(status->filed->bytes, filed.bytes);
    std::multiset<std::string> expected;
    for (Sequence from(1); from <= log->durable();) {
      const auto batch = log->read(from, {});
      ASSERT_TRUE(batch);
      for (const Record& r : batch->records) expected.emplace(r.data);
      from = batch->next;
    }
    ASSERT_EQ(found, expected);
    const auto group = w.engine->groups().find(in_default("s:archive"));
    ASSERT_TRUE(group);
    EXPECT_EQ(group->last_error, "");
    EXPECT_EQ(group->applied, Position::through(log->durable()));
  }

  std::uint64_t number_ = 0;
};

INSTANTIATE_TEST_SUITE_P(ShardsAndLanes, ArchiveInEngine, ::testing::Values(1, 3, 300));

TEST_P(ArchiveInEngine, ExactlyOnceOverAPowerCutAtEveryStep) {
  std::uint64_t cut = 1;
  const std::uint64_t stride = shards() == 3 ? 1 : 7;
  for (bool done = false; !done; cut += stride) {
    SCOPED_TRACE("cut at step " + std::to_string(cut));
    EngineWorld w(cut);
    std::uint64_t acknowledged = 0;
    w.sim.files.cut_at_step(cut);
    done = live(w, 16, acknowledged);
    w.crash();
    check(w, acknowledged);
    if (HasFailure()) return;
  }
  EXPECT_GT(cut, 100u);
}

TEST_P(ArchiveInEngine, ExactlyOnceOverManyLivesAndFailures) {
  EngineWorld w(shards());
  std::uint64_t acknowledged = 0;
  for (int round = 0; round < 30; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    if (round % 3 == 1)
      w.sim.files.fail({.op = DiskOp::change,
                        .path_contains = "/archive/",
                        .nth = 5 + w.sim.random.below(20),
                        .times = 3,
                        .error = w.sim.random.one_in(2) ? 5 : 28});
    if (round % 2 == 0) w.sim.files.cut_at_step(w.sim.files.steps() + 1 + w.sim.random.below(200));
    (void)live(w, 12, acknowledged);
    w.sim.files.clear_faults();
    if (round % 2 == 0)
      w.crash();
    else
      w.kill();
  }
  w.crash();
  check(w, acknowledged);
  EXPECT_GT(acknowledged, 50u);
}

// Retention takes what a shard or lane has only looked through, for none of it was its own. After a kill that is no
// loss.
TEST_P(ArchiveInEngine, WhatRetentionTookOfOthersIsNotLostToAnIdleOne) {
  for (const bool waits : {true, false}) {
    SCOPED_TRACE(waits);
    EngineWorld w(shards());
    w.options.log.segment_bytes_max = 32 << 10;
    ASSERT_TRUE(start(w));
    StreamDefinition definition = w.engine->find(in_default("s"))->definition();
    definition.retention = {.size_bytes = 128 << 10, .wait_for_groups = waits};
    ASSERT_TRUE(w.engine->change(definition));
    w.engine->begin_retention(nullptr);
    for (int i = 0; i < 400; ++i) {
      ASSERT_TRUE(
          w.put(*w.engine->find(in_default("s")), "one key", "{\"x\":\"" + std::string(3000, 'x') + "\"}").ok());
      w.sim.executor.run_for(500ms);
    }
    const Sequence start_before = w.engine->find(in_default("s"))->log().start();
    EXPECT_GT(start_before, Sequence(100));
    EXPECT_LE(w.engine->find(in_default("s"))->log().status().bytes, 256u << 10);
    const RetentionStatus said = w.engine->retention(*w.engine->find(in_default("s")));
    EXPECT_EQ(said.lost_records, 0u);
    EXPECT_TRUE(said.at_risk.empty());
    EXPECT_EQ(said.held, "");
    w.kill();
    ASSERT_TRUE(start(w));
    w.sim.executor.run_for(62s);
    EXPECT_EQ(w.engine->groups().find(in_default("s:archive"))->applied,
              Position::through(w.engine->find(in_default("s"))->log().durable()));
    EXPECT_EQ(w.sim.files.content("/data/archive/s/manifest")->find(" lost "), std::string::npos);
  }
}

// A stream is removed and made again under its name, with the power going at every step of it.
TEST_P(ArchiveInEngine, ANameThatIsTakenAgainBeginsAnew) {
  std::uint64_t cut = 1;
  const std::uint64_t stride = shards() == 1 ? 1 : 11;
  for (bool done = false; !done; cut += stride) {
    SCOPED_TRACE("cut at step " + std::to_string(cut));
    EngineWorld w(cut);
    std::uint64_t acknowledged = 0;
    ASSERT_TRUE(live(w, 5, acknowledged));
    w.close();
    ASSERT_TRUE(start(w));
    w.sim.executor.run_for(62s);
    const StreamId first_id = w.engine->find(in_default("s"))->definition().id;
    w.sim.files.cut_at_step(w.sim.files.steps() + cut);
    const bool removed = w.engine->remove(in_default("s")) && w.engine->close();
    w.engine.reset();
    w.sim.executor.drop_all();
    acknowledged = 0;
    done = removed && live(w, 5, acknowledged);
    w.crash();
    ASSERT_TRUE(start(w));
    const bool again = w.engine->find(in_default("s"))->definition().id != first_id;
    w.close();
    check(w, again ? acknowledged : 5);
    std::size_t kept = 0;
    for (const auto& path : w.sim.files.all_files()) {
      if (!path.starts_with("/data/archive/_") || !path.ends_with(".txt")) continue;
      const std::string text = *w.sim.files.content(path);
      kept += static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    }
    EXPECT_EQ(kept, again ? 5u : 0u);
    if (HasFailure()) return;
  }
  EXPECT_GT(cut, 50u);
}

TEST_P(ArchiveInEngine, WhatKeepsItFromOpeningIsShownAndCanBeMended) {
  EngineWorld w(shards());
  std::uint64_t acknowledged = 0;
  ASSERT_TRUE(live(w, 12, acknowledged));
  w.close();
  const std::string manifest = "/data/archive/s/manifest";
  ASSERT_TRUE(w.sim.files.flip_bit(manifest, 40, 1));
  ASSERT_TRUE(start(w));  // the stream is there all the same
  w.sim.executor.run_for(30s);
  auto group = w.engine->groups().find(in_default("s:archive"));
  ASSERT_TRUE(group);
  EXPECT_EQ(group->last_error, "opening: " + ErrorCode(StorageErrc::damaged).message());
  EXPECT_EQ(group->lag_records, 12u);
  const OneRecord& one = w.put(*w.engine->find(in_default("s")), "key", "{\"n\":0}");
  ASSERT_TRUE(one.ok());
  // What the log says to do.
  ASSERT_TRUE(w.sim.files.rename("/data/archive/s", "/data/damaged"));
  w.sim.executor.run_for(61s);
  EXPECT_EQ(w.engine->groups().find(in_default("s:archive"))->last_error, "");
  w.close();
  ASSERT_TRUE(remove_tree(w.sim.files, "/data/damaged"));
  check(w, 13);
}

// The same on threads and a real disk; what a race detector is to look at.
TEST(ArchiveOnThreads, EachRecordOnce) {
  RealEnv real;
  const std::string data = real.directory / "data";
  constexpr std::uint64_t kRecords = 2000;
  std::deque<std::unique_ptr<OneRecord>> records;
  for (std::uint64_t life = 0; life < 2; ++life) {
    Engine::Options options;
    options.data = data;
    auto engine = Engine::open(real.env, options);
    ASSERT_TRUE(engine);
    if (life == 0) {
      StreamDefinition definition;
      definition.name = "s";
      definition.archive.size_bytes = 5000;
      ASSERT_TRUE((*engine)->create(std::move(definition), 8));
    }
    const auto stream = (*engine)->find(in_default("s"));
    ASSERT_TRUE(add_archive((*engine)->groups(), real.env, stream, data + "/archive/s"));
    for (std::uint64_t i = 0; i < kRecords; ++i) {
      records.push_back(std::make_unique<OneRecord>(
          "key" + std::to_string(i), "{\"n\":" + std::to_string(life * kRecords + i) + "}", real.env.clock.wall()));
      stream->log().append(&records.back()->append);
    }
    const auto caught_up = real.env.background.make_signal();
    std::function<void()> look = [&] {
      if ((*engine)->groups().find(in_default("s:archive"))->applied.sequence().value() == (life + 1) * kRecords)
        caught_up->set();
      else
        real.env.background.post_after(1ms, look);
    };
    look();
    caught_up->wait();
    ASSERT_TRUE((*engine)->close());
  }
  std::map<std::string, int> times;
  const auto walk = [&](auto&& self, const std::string& path) -> void {
    for (const auto& entry : *real.files.list(path)) {
      const std::string child = path + "/" + entry.name;
      if (entry.is_directory) {
        self(self, child);
        continue;
      }
      EXPECT_FALSE(child.ends_with(".part"));
      if (!child.ends_with(".txt")) continue;
      const std::string text = *read_file(real.files, child, 1 << 20);
      for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
        ++times[text.substr(at, text.find('\n', at) - at)];
    }
  };
  walk(walk, data + "/archive/s");
  EXPECT_EQ(times.size(), 2 * kRecords);
  for (const auto& [line, n] : times) EXPECT_EQ(n, 1) << line;
}

}  // namespace
}  // namespace tidemill
