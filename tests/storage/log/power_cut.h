#pragma once

#include "tests/storage/log/log_trial.h"

namespace tidemill {

// The power goes at every single step of a random workload. The disk may then have kept, lost, reordered or torn (at
// 512 bytes) whatever was not flushed; names that were not flushed may be there or not. It may go again during the
// recovery that follows, at any step, or right after it.
//
// Checked after each: nothing acknowledged is lost, altered or out of order; nothing that was ever published is taken
// back; a request is there whole or not at all; keyed requests get the same answer again.
inline std::uint64_t steps_undisturbed(std::uint64_t seed) {
  LogTrial trial(seed);
  trial.workload();
  return trial.world().sim.files.steps();
}

// Adds the states of the disk that it went through to `states`.
inline void cut_at(std::uint64_t seed, std::uint64_t step, std::uint64_t& states) {
  LogTrial trial(seed);
  LogWorld& w = trial.world();
  SimRandom& random = trial.random();
  w.sim.files.cut_at_step(step);
  trial.workload();
  if (w.sim.files.powered()) w.sim.power_off();
  w.drop();
  w.sim.files.crash();
  ++states;
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
    ++states;
  }
  w.sim.files.cut_at_step(~0ull);
  ASSERT_TRUE(w.try_open()) << w.open_error.message();
  trial.check();
  trial.work(5);
  w.settle_requests();
  trial.check();
}

}  // namespace tidemill
