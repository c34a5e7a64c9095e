#include "engine/system_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/errors.h"
#include "tests/engine/fake_log.h"
#include "tests/support/sim_env.h"

namespace tidemill {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct SystemStreamTest : ::testing::Test {
  SimEnv sim;
  std::shared_ptr<FakeLog> log = std::make_shared<FakeLog>(sim.env);
  std::unique_ptr<SystemStream> system = std::make_unique<SystemStream>(sim.env, log);
  std::vector<std::string> seen;

  void fold(const std::string& prefix) {
    ASSERT_TRUE(system->fold(prefix, [this](const SystemStream::Event& e) {
      seen.push_back(std::to_string(e.sequence.value()) + " " + std::string(e.type) + " " + std::string(e.json));
    }));
  }
  // Another life over the same log.
  void restart() {
    system = std::make_unique<SystemStream>(sim.env, log);
    seen.clear();
  }
};

TEST_F(SystemStreamTest, FoldsSeeWhatHappensAndWhatHappened) {
  fold("a.");
  EXPECT_EQ(*system->append("a.x", "{}"), Sequence(1));
  EXPECT_EQ(*system->append("b.y", "{}"), Sequence(2));
  EXPECT_EQ(*system->append("a.z", R"({"n":1})"), Sequence(3));
  EXPECT_THAT(seen, ElementsAre("1 a.x {}", R"(3 a.z {"n":1})"));
  restart();
  fold("a.");
  EXPECT_THAT(seen, ElementsAre("1 a.x {}", R"(3 a.z {"n":1})"));
  seen.clear();
  fold("");
  EXPECT_EQ(seen.size(), 3u);
}

TEST_F(SystemStreamTest, ChecksSeeAllEarlierEvents) {
  std::size_t names = 0;
  ASSERT_TRUE(system->fold("name", [&](const SystemStream::Event&) { ++names; }));
  std::vector<ErrorCode> answers;
  for (int i = 0; i < 5; ++i)
    system->append_async(
        "name", "{}",
        [&]() -> Result<void> {
          if (names != 0) return EngineErrc::stream_exists;
          return {};
        },
        [&](Result<Sequence> r) { answers.push_back(r ? ErrorCode() : r.error()); });
  sim.executor.run_until_idle();
  const ErrorCode exists = EngineErrc::stream_exists;
  EXPECT_THAT(answers, ElementsAre(ErrorCode(), exists, exists, exists, exists));
  EXPECT_EQ(log->durable(), Sequence(1));
}

TEST_F(SystemStreamTest, FailedFlushIsAnsweredAndNotFolded) {
  fold("");
  log->fail_flushes(1, StorageErrc::flush_failed);
  EXPECT_EQ(system->append("a", "{}").error(), StorageErrc::flush_failed);
  EXPECT_THAT(seen, IsEmpty());
  EXPECT_EQ(*system->append("b", "{}"), Sequence(1));
  EXPECT_THAT(seen, ElementsAre("1 b {}"));
}

// An event that is durable but not folded yet when somebody registers is handed out once.
TEST_F(SystemStreamTest, NothingIsHandedOutTwice) {
  for (std::uint64_t seed = 1; seed < 50; ++seed) {
    SimEnv other(seed);
    const auto own = std::make_shared<FakeLog>(other.env);
    SystemStream stream(other.env, own);
    std::vector<std::uint64_t> sequences;
    int answered = 0;
    for (int i = 0; i < 3; ++i) stream.append_async("e", "{}", {}, [&](Result<Sequence>) { ++answered; });
    for (std::uint64_t i = seed % 12; i > 0; --i) other.executor.run_one();
    ASSERT_TRUE(stream.fold("e", [&](const SystemStream::Event& e) { sequences.push_back(e.sequence.value()); }));
    other.executor.run_until_idle();
    EXPECT_EQ(answered, 3);
    EXPECT_THAT(sequences, ElementsAre(1, 2, 3));
  }
}

TEST_F(SystemStreamTest, DamageIsNotPassedOver) {
  ASSERT_TRUE(system->append("a", "{}"));
  ASSERT_TRUE(system->append("a", "{}"));
  log->lose(Sequence(1), Sequence(1));
  EXPECT_EQ(system->fold("a", [](const SystemStream::Event&) {}).error(), StorageErrc::damaged);
}

TEST_F(SystemStreamTest, AnAnswerMayAppendTheNext) {
  fold("");
  bool second = false;
  system->append_async("a", "{}", {}, [&](Result<Sequence>) {
    system->append_async("b", "{}", {}, [&](Result<Sequence> r) { second = r.has_value(); });
  });
  sim.executor.run_until_idle();
  EXPECT_TRUE(second);
  EXPECT_THAT(seen, ElementsAre("1 a {}", "2 b {}"));
}

}  // namespace
}  // namespace tidemill
