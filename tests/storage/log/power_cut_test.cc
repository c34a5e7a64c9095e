// The power goes at every single step of a random workload. The disk may then have kept, lost, reordered or torn (at
// 512 bytes) whatever was not flushed; names that were not flushed may be there or not. It may go again during the
// recovery that follows, at any step, or right after it.
//
// Checked after each: nothing acknowledged is lost, altered or out of order; nothing that was ever published is taken
// back; a request is there whole or not at all; keyed requests get the same answer again.
#include <gtest/gtest.h>

#include "tests/storage/log/log_trial.h"

namespace tidemill {
namespace {

std::uint64_t steps_undisturbed(std::uint64_t seed) {
  LogTrial trial(seed);
  trial.workload();
  return trial.world().sim.files.steps();
}

void cut_at(std::uint64_t seed, std::uint64_t step) {
  LogTrial trial(seed);
  LogWorld& w = trial.world();
  SimRandom& random = trial.random();
  w.sim.files.cut_at_step(step);
  trial.workload();
  if (w.sim.files.powered()) w.sim.power_off();
  w.drop();
  w.sim.files.crash();
  // Perhaps more cuts while recovering or right after it.
  for (std::uint64_t more = random.below(4); more > 0; --more) {
    w.sim.files.cut_at_step(w.sim.files.steps() + 1 + random.below(20));
    if (w.try_open()) {
      trial.look();
      if (random.one_in(2)) trial.work(3);
    }
    if (w.sim.files.powered()) w.sim.power_off();
    w.drop();
    w.sim.files.crash();
  }
  w.sim.files.cut_at_step(~0ull);
  ASSERT_TRUE(w.try_open()) << w.open_error.message();
  trial.check();
  trial.work(5);
  w.settle_requests();
  trial.check();
}

class LogPowerCut : public ::testing::TestWithParam<int> {};

TEST_P(LogPowerCut, AtEveryStep) {
  const auto seed = static_cast<std::uint64_t>(GetParam());
  const std::uint64_t steps = steps_undisturbed(seed);
  ASSERT_GT(steps, 50u);
  for (std::uint64_t step = 1; step <= steps && !HasFailure(); ++step) {
    SCOPED_TRACE("cut at step " + std::to_string(step) + " of " + std::to_string(steps));
    cut_at(seed, step);
  }
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

INSTANTIATE_TEST_SUITE_P(Seeds, LogPowerCut, ::testing::Range(1, 4));

}  // namespace
}  // namespace tidemill
