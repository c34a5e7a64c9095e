#pragma once

#include "storage/base/time.h"

namespace tidemill {

// Any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime wall() = 0;
  virtual MonotonicTime monotonic() = 0;
};

Clock& system_clock();

}  // namespace tidemill
