// The power goes at every step of a random workload: see power_cut.h.
#include <gtest/gtest.h>

#include "tests/storage/log/power_cut.h"
#include "tests/support/stride.h"

namespace tidemill {
namespace {

class LogPowerCut : public ::testing::TestWithParam<int> {};

TEST_P(LogPowerCut, AtEveryStep) {
  const auto seed = static_cast<std::uint64_t>(GetParam());
  const std::uint64_t steps = steps_undisturbed(seed);
  ASSERT_GT(steps, 50u);
  std::uint64_t states = 0;
  for (std::uint64_t step = 1; step <= steps && !HasFailure(); step += kStride) {
    SCOPED_TRACE("cut at step " + std::to_string(step) + " of " + std::to_string(steps));
    cut_at(seed, step, states);
  }
  EXPECT_GT(states, steps / kStride);
}

// kill -9 leaves all in the machine's cache; what the next life shows from it must survive the power cut that follows.
TEST_P(LogPowerCut, KilledAndThenCut) {
  for (std::uint64_t round = 1; round <= 40 && !HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    LogTrial trial(static_cast<std::uint64_t>(GetParam()) * 1000 + round);
    LogWorld& w = trial.world();
    for (int life = 0; life < 4; ++life) {
      w.open();
      trial.look();
      trial.work(static_cast<int>(trial.random().below(12)));
      w.kill();
      w.open();
      trial.look();
      w.crash();
    }
    w.open();
    trial.check();
  }
}

// The same, with the process dying between any two calls: what it had written and not flushed is in the cache, looks
// like any other commit to the next life, and must be flushed again before that shows it.
TEST_P(LogPowerCut, KilledAtEveryStepAndThenCut) {
  const auto seed = static_cast<std::uint64_t>(GetParam());
  const std::uint64_t steps = steps_undisturbed(seed);
  for (std::uint64_t step = 1; step <= steps && !HasFailure(); step += kStride) {
    SCOPED_TRACE("killed at step " + std::to_string(step) + " of " + std::to_string(steps));
    LogTrial trial(seed);
    LogWorld& w = trial.world();
    w.sim.files.kill_at_step(step);
    trial.workload();
    w.kill();
    w.open();
    trial.look();
    w.crash({.writes = CrashPolicy::Keep::none});
    w.open();
    trial.check();
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, LogPowerCut, ::testing::Range(1, 4));

}  // namespace
}  // namespace tidemill
