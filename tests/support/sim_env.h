#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "storage/base/logger.h"
#include "storage/seam/env.h"
#include "tests/support/sim_clock.h"
#include "tests/support/sim_executor.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/sim_random.h"

namespace tidemill {

// A whole world made of one seed: both executors are one simulated queue. Failures inside its life name the seed.
//
// A power cut, in a test:
//   SimEnv sim(seed);
//   { auto log = open(sim.env); ...; sim.power_off(); }   // parts are destroyed; whatever they still try fails
//   sim.crash(policy);                                    // what was not on disk is lost, tasks are forgotten
//   auto log = open(sim.env);                             // the next life
struct SimEnv {
  explicit SimEnv(std::uint64_t the_seed = 1, Logger& logger = null_logger())
      : seed(the_seed),
        random(mix(seed) + 1),
        executor(clock, mix(seed) + 2),
        files(mix(seed) + 3, &clock),
        env{files, clock, random, executor, executor, logger},
        trace(__FILE__, __LINE__, "simulation seed " + std::to_string(seed)) {}

  void power_off() { files.power_off(); }
  void crash(const CrashPolicy& policy = {}) {
    files.power_off();
    executor.drop_all();
    files.crash(policy);
  }

  std::uint64_t seed;
  SimClock clock;
  SimRandom random;
  SimExecutor executor;
  SimFileSystem files;
  Env env;
  ::testing::ScopedTrace trace;
};

}  // namespace tidemill
