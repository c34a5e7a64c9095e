#include "tests/campaigns/campaign.h"
#include "tests/storage/log/power_cut.h"

namespace tidemill {

Campaign power_cut_campaign() {
  return {"power-cut", "states", "the power goes at every step of random workloads, and again while recovering",
          200'000, [](std::uint64_t trial) {
            const std::uint64_t steps = steps_undisturbed(trial);
            std::uint64_t states = 0;
            for (std::uint64_t step = 1; step <= steps && !::testing::Test::HasFailure(); ++step) {
              SCOPED_TRACE("cut at step " + std::to_string(step) + " of " + std::to_string(steps));
              cut_at(trial, step, states);
            }
            return states;
          }};
}

}  // namespace tidemill
