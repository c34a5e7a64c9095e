// Text files over splits and merges: each record once, each key in order, whatever happens in between.

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "consumers/archive/archive.h"
#include "tests/engine/engine_world.h"
#include "tests/support/real_env.h"

namespace tidemill {
namespace {

using namespace std::chrono_literals;

// What the text files say: lines {"k":KEY,"n":NUMBER}, numbers growing within a key. Files are gone through by the
// sequence in their name: what a reader would do who wants a key's records in order.
class TextFiles {
 public:
  void add(const std::string& path, const std::string& text) {
    const std::size_t end = path.rfind('.');
    files_[path.substr(end - 20, 20) + path] = text;
  }
  // The last number of each key; how many lines.
  std::map<int, int> check(std::size_t& lines) const {
    std::map<int, int> last;
    for (const auto& [name, text] : files_)
      for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
        int key = 0;
        int n = 0;
        EXPECT_EQ(std::sscanf(text.c_str() + at, "{\"k\":%d,\"n\":%d}", &key, &n), 2) << text.substr(at, 40);
        EXPECT_EQ(n, last[key] + 1) << "key " << key << " in " << name;
        last[key] = n;
        ++lines;
      }
    return last;
  }

 private:
  std::map<std::string, std::string> files_;
};

std::string line_of(int key, int n) {
  std::string line = "{\"k\":";
  return line.append(std::to_string(key)).append(",\"n\":").append(std::to_string(n)).append("}");
}

// A split or a merge of shards taken at random; most cannot be done, which changes nothing.
Result<Engine::Resharded> change_something(Engine& engine, SimRandom& random) {
  const auto table = engine.find(in_default("s"))->shards().now().table;
  std::vector<ShardId> open;
  for (const auto& shard : table->all())
    if (shard.open) open.push_back(shard.id);
  const auto pick = [&] { return open[random.below(open.size())]; };
  return random.one_in(2) && open.size() < 12 ? engine.split(in_default("s"), pick())
                                              : engine.merge(in_default("s"), pick(), pick());
}

class ArchiveReshard : public ::testing::TestWithParam<int> {
 protected:
  static constexpr int kKeys = 6;

  bool start(EngineWorld& w) {
    if (w.try_open() != ErrorCode()) return false;
    if (w.engine->find(in_default("s")) == nullptr) {
      StreamDefinition definition;
      definition.name = "s";
      definition.archive.size_bytes = 100;
      if (!w.engine->create(std::move(definition), 2)) return false;
    }
    return add_archive(w.engine->groups(), w.sim.env, w.engine->find(in_default("s")), "/data/archive/s").has_value();
  }

  bool put(EngineWorld& w) {
    const int key = static_cast<int>(w.sim.random.below(kKeys));
    const OneRecord& one =
        w.put(*w.engine->find(in_default("s")), "key" + std::to_string(key), line_of(key, sent_[key] + 1));
    if (!one.ok()) return false;
    ++sent_[key];
    return true;
  }

  // False: the power went.
  bool live(EngineWorld& w, int steps) {
    if (!start(w)) return false;
    for (int i = 0; i < steps; ++i) {
      for (std::uint64_t n = 1 + w.sim.random.below(4); n > 0; --n)
        if (!put(w)) return false;
      if (i % 2 == 1) {
        const auto done = change_something(*w.engine, w.sim.random);
        if (!done && !w.sim.files.powered()) return false;
        if (done) changes_.push_back(done->change);
      }
      if (i % 4 == 0) w.sim.executor.run_for(std::chrono::seconds(w.sim.random.below(40)));
    }
    return w.engine->close().has_value();
  }

  // One record of a key may be there that was not acknowledged: the next begins behind it.
  void check(EngineWorld& w) {
    ASSERT_TRUE(start(w));
    const auto stream = w.engine->find(in_default("s"));
    // Changes that were answered are there, with the sequence that was said.
    const auto table = stream->shards().now().table;
    for (const Reshard& change : changes_) {
      for (const ShardId id : change.closed) {
        ASSERT_NE(table->find(id), nullptr);
        EXPECT_FALSE(table->find(id)->open);
        EXPECT_EQ(table->find(id)->last_sequence, change.at);
      }
      for (const auto& shard : change.opened) {
        ASSERT_NE(table->find(shard.id), nullptr);
        EXPECT_EQ(table->find(shard.id)->range, shard.range);
        EXPECT_EQ(table->find(shard.id)->first_sequence, next(change.at));
      }
    }
    w.sim.executor.run_for(62s);
    TextFiles files;
    for (const auto& path : w.sim.files.all_files()) {
      EXPECT_FALSE(path.ends_with(".part")) << path;
      if (path.ends_with(".txt")) files.add(path, *w.sim.files.content(path));
    }
    std::size_t lines = 0;
    const auto last = files.check(lines);
    EXPECT_EQ(lines, stream->log().durable().value());
    for (const auto& [key, n] : sent_) {
      const auto found = last.find(key);
      const int there = found == last.end() ? 0 : found->second;
      EXPECT_TRUE(there == n || there == n + 1) << key << ": " << there << " of " << n;
      sent_[key] = there;
    }
    const auto group = w.engine->groups().find(in_default("s:archive"));
    ASSERT_TRUE(group);
    EXPECT_EQ(group->last_error, "");
    EXPECT_EQ(group->applied, Position::through(stream->log().durable()));
    EXPECT_EQ(group->shards.size(), table->open());
  }

  std::map<int, int> sent_;
  std::vector<Reshard> changes_;
};

INSTANTIATE_TEST_SUITE_P(Seeds, ArchiveReshard, ::testing::Range(1, 4));

TEST_P(ArchiveReshard, ExactOverAPowerCutAtEveryStep) {
  std::uint64_t cut = 1;
  for (bool done = false; !done; cut += 2) {
    SCOPED_TRACE("cut at step " + std::to_string(cut));
    EngineWorld w(static_cast<std::uint64_t>(GetParam()) * 100'000 + cut / 40);
    sent_.clear();
    changes_.clear();
    w.sim.files.cut_at_step(cut);
    done = live(w, 10);
    w.crash();
    check(w);
    if (HasFailure()) return;
  }
  EXPECT_GT(cut, 100u);
  EXPECT_FALSE(changes_.empty());
}

TEST_P(ArchiveReshard, ExactOverManyLivesAndFailures) {
  EngineWorld w(static_cast<std::uint64_t>(GetParam()));
  for (int round = 0; round < 30; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    if (round % 3 == 1)
      w.sim.files.fail({.op = DiskOp::change,
                        .path_contains = "/archive/",
                        .nth = 5 + w.sim.random.below(20),
                        .times = 3,
                        .error = w.sim.random.one_in(2) ? 5 : 28});
    if (round % 2 == 0) w.sim.files.cut_at_step(w.sim.files.steps() + 1 + w.sim.random.below(300));
    (void)live(w, 16);
    w.sim.files.clear_faults();
    if (round % 2 == 0)
      w.crash();
    else
      w.kill();
    check(w);
    if (HasFailure()) return;
    w.close();
  }
  EXPECT_GT(changes_.size(), 30u);
}

// Writers on threads of their own, each with its keys, that never see an error; somebody who splits and merges all the
// while.
class Writer final : public AppendSink {
 public:
  Writer(Env& env, Engine& engine, int first_key) : env_(env), engine_(engine), first_key_(first_key) {}
  void send(int n) {
    for (int i = 1; i <= n; ++i) {
      NewRecord records[3];
      std::string keys[3];
      std::string data[3];
      for (int k = 0; k < 3; ++k) {
        keys[k] = "key" + std::to_string(first_key_ + k);
        data[k] = line_of(first_key_ + k, i);
        records[k].key = keys[k];
        records[k].hash = hash_key(keys[k]);
        records[k].data = data[k];
        records[k].arrival = env_.clock.wall();
      }
      Append append;
      append.records = records;
      append.sink = this;
      answered_ = env_.flush.make_signal();
      const auto mine = answered_;
      engine_.find(in_default("s"))->log().append(&append);
      mine->wait();
      EXPECT_FALSE(append.error) << append.error.message();
    }
  }
  void appended(Append*) noexcept override {
    const auto signal = answered_;  // the next append replaces it
    signal->set();
  }

 private:
  Env& env_;
  Engine& engine_;
  const int first_key_;
  std::shared_ptr<Signal> answered_;
};

TEST(ArchiveReshardOnThreads, OrderWithinEachKey) {
  constexpr int kWriters = 3;
  constexpr int kEach = 400;
  RealEnv real;
  const std::string data = real.directory / "data";
  Engine::Options options;
  options.data = data;
  auto engine = Engine::open(real.env, options);
  ASSERT_TRUE(engine);
  StreamDefinition definition;
  definition.name = "s";
  definition.archive.size_bytes = 3000;
  ASSERT_TRUE((*engine)->create(std::move(definition), 3));
  ASSERT_TRUE(add_archive((*engine)->groups(), real.env, (*engine)->find(in_default("s")), data + "/archive/s"));

  std::vector<std::thread> threads;
  std::atomic<int> writing{kWriters};
  for (int i = 0; i < kWriters; ++i)
    threads.emplace_back([&, i] {
      Writer(real.env, **engine, i * 3).send(kEach);
      --writing;
    });
  std::size_t changes = 0;
  SimRandom random(17);
  while (writing.load() != 0 || changes < 20) changes += change_something(**engine, random).has_value();
  for (auto& thread : threads) thread.join();

  const auto stream = (*engine)->find(in_default("s"));
  const auto caught_up = real.env.background.make_signal();
  std::function<void()> look = [&] {
    if ((*engine)->groups().find(in_default("s:archive"))->applied == Position::through(stream->log().durable()))
      caught_up->set();
    else
      real.env.background.post_after(1ms, look);
  };
  look();
  caught_up->wait();
  EXPECT_EQ((*engine)->groups().find(in_default("s:archive"))->last_error, "");
  ASSERT_TRUE((*engine)->close());

  TextFiles files;
  const auto walk = [&](auto&& self, const std::string& path) -> void {
    for (const auto& entry : *real.files.list(path)) {
      const std::string child = path + "/" + entry.name;
      if (entry.is_directory) self(self, child);
      EXPECT_FALSE(child.ends_with(".part"));
      if (child.ends_with(".txt")) files.add(child, *read_file(real.files, child, 1 << 20));
    }
  };
  walk(walk, data + "/archive/s");
  std::size_t lines = 0;
  const auto last = files.check(lines);
  EXPECT_EQ(lines, std::size_t{kWriters} * kEach * 3);
  EXPECT_EQ(last.size(), std::size_t{kWriters} * 3);
  for (const auto& [key, n] : last) EXPECT_EQ(n, kEach) << key;
}

}  // namespace
}  // namespace tidemill
