#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/engine/engine_world.h"

// What the engine must survive here: the power going at every step that changes the disk, with each of several fates
// for what was not synced; kill -9 in between. What was answered holds; what was not is there or not, never half.

namespace tidemill {
namespace {

struct Ledger {
  std::map<std::string, bool> streams;  // answered: exists or not
  std::string doubtful;                 // the one whose change was under way
  std::map<std::string, std::vector<std::string>> records;
  std::string partition_key_of_b = "id";
};

// Every call may fail once the power is gone; false: it did.
bool play(EngineWorld& w, Ledger& ledger) {
  if (w.try_open() != ErrorCode()) return false;
  const auto create = [&](const std::string& name) {
    ledger.doubtful = name;
    if (!w.create(name)) return false;
    ledger.doubtful.clear();
    ledger.streams[name] = true;
    return true;
  };
  const auto put = [&](const std::string& name, const std::string& data) {
    if (!w.put(*w.engine->find(in_default(name)), "key", data).ok()) return false;
    ledger.records[name].push_back(data);
    return true;
  };
  const auto remove = [&](const std::string& name) {
    ledger.doubtful = name;
    if (!w.engine->remove(in_default(name))) return false;
    ledger.doubtful.clear();
    ledger.streams[name] = false;
    ledger.records.erase(name);
    return true;
  };
  if (!create("a") || !put("a", R"({"n":1})") || !create("b") || !put("b", R"({"n":2})")) return false;
  StreamDefinition changed = w.engine->find(in_default("b"))->definition();
  changed.partition_key = "other";
  if (!w.engine->change(changed)) {
    ledger.partition_key_of_b.clear();  // one or the other
    return false;
  }
  ledger.partition_key_of_b = "other";
  if (!remove("a") || !create("c") || !put("c", R"({"n":3})") || !put("b", R"({"n":4})")) return false;
  w.sim.executor.run_for(std::chrono::seconds(1));
  return w.engine->close().has_value();
}

void expect_holds(EngineWorld& w, const Ledger& ledger) {
  for (const auto& [name, there] : ledger.streams) {
    if (name == ledger.doubtful) continue;
    EXPECT_EQ(w.engine->find(in_default(name)) != nullptr, there) << name;
  }
  for (const auto& [name, records] : ledger.records) {
    const auto stream = w.engine->find(in_default(name));
    if (stream == nullptr) {
      EXPECT_EQ(name, ledger.doubtful);
      continue;
    }
    const auto batch = stream->log().read(Sequence(1), {});
    ASSERT_TRUE(batch);
    EXPECT_TRUE(batch->lost.empty());
    ASSERT_GE(batch->records.size(), records.size()) << name;
    for (std::size_t i = 0; i < records.size(); ++i) EXPECT_EQ(batch->records[i].data, records[i]);
  }
  const auto b = w.engine->find(in_default("b"));
  if (b != nullptr && !ledger.partition_key_of_b.empty()) {
    EXPECT_EQ(b->definition().partition_key, ledger.partition_key_of_b);
  }
  // And it goes on.
  for (const std::string& name : w.names()) EXPECT_TRUE(w.put(*w.engine->find(in_default(name)), "key").ok());
  EXPECT_TRUE(w.create("after"));
}

class EngineCrash : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Seeds, EngineCrash, ::testing::Range(1, 4));

TEST_P(EngineCrash, PowerCutAtEveryStep) {
  std::uint64_t cut = 1;
  for (bool done = false; !done; ++cut) {
    EngineWorld w(static_cast<std::uint64_t>(GetParam()) * 100'000 + cut);
    Ledger ledger;
    w.sim.files.cut_at_step(cut);
    done = play(w, ledger);
    w.crash();
    SCOPED_TRACE("cut at step " + std::to_string(cut));
    w.open();
    if (HasFatalFailure()) return;
    expect_holds(w, ledger);
    if (HasFailure()) return;
    ASSERT_LT(cut, 20'000u);
  }
  EXPECT_GT(cut, 50u);
}

// The second start is cut as well: recovery must be able to begin again.
TEST_P(EngineCrash, PowerCutInTheStartAfterACut) {
  for (std::uint64_t first = 20; first < 200; first += 23) {
    for (std::uint64_t second = 1;; ++second) {
      EngineWorld w(static_cast<std::uint64_t>(GetParam()) * 100'000 + first * 300 + second);
      Ledger ledger;
      w.sim.files.cut_at_step(first);
      play(w, ledger);
      w.crash();
      w.sim.files.cut_at_step(w.sim.files.steps() + second);
      const ErrorCode error = w.try_open();
      w.sim.executor.run_until_idle();
      const bool whole = w.sim.files.powered();
      w.crash();
      SCOPED_TRACE("cuts at steps " + std::to_string(first) + " and " + std::to_string(second) + " after it");
      w.open();
      if (HasFatalFailure()) return;
      expect_holds(w, ledger);
      if (HasFailure()) return;
      if (whole) {
        EXPECT_EQ(error, ErrorCode());
        break;
      }
      ASSERT_LT(second, 1000u);
    }
  }
}

}  // namespace
}  // namespace tidemill
