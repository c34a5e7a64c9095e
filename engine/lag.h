#pragma once

#include <optional>

#include "storage/log/log.h"
#include "storage/seam/clock.h"

namespace tidemill {

// How long ago the first durable record from `from` on arrived, in seconds, by the arrival time that it is stored with;
// 0: there is none. nullopt: the log cannot say, for that record cannot be read. May block on the disk.
std::optional<double> lag_seconds(Log& log, Clock& clock, Sequence from);

}  // namespace tidemill
