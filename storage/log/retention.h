#pragma once

#include <cstdint>
#include <optional>

#include "storage/base/time.h"

namespace tidemill {

// How much of a log is kept: whole sealed segments, the oldest go first; the one that is being written never goes.
struct RetentionLimits {
  std::optional<WallTime> older_than;      // those go whose latest commit is older
  std::optional<std::uint64_t> bytes_max;  // those go that must, to hold no more than this where that is possible
};

}  // namespace tidemill
