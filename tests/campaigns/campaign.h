#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "storage/base/logger.h"

namespace tidemill {

// One way to look for violations that goes on as long as it is asked to. main.cc runs it on all cores and prints its
// figure; whatever fails names the trial, which alone can be run again: `campaigns NAME --trial N`.
struct Campaign {
  const char* name;
  const char* unit;     // of what is counted: "states", "flips"
  const char* about;    // one line
  std::uint64_t count;  // to do where nobody says how many
  // Makes trial number `trial` (from 1) and says how much it counted. Expectations are gtest's. 0: there are no more.
  std::function<std::uint64_t(std::uint64_t trial)> run;
  // Says what there is to say at the end of a whole run; false: it does not hold.
  std::function<bool()> finish = {};
};

// Where the parts of a trial log to: nowhere, or standard error (--log yes).
Logger& campaign_logger();

Campaign power_cut_campaign();
Campaign bit_flip_campaign();
Campaign large_bit_flip_campaign();
Campaign truncation_campaign();
Campaign splice_campaign();
Campaign call_fault_campaign();
Campaign simulation_campaign();
Campaign clock_campaign();

}  // namespace tidemill
