#pragma once

#include "storage/base/time.h"

namespace tidemill {

// Any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime wall() = 0;
  virtual MonotonicTime monotonic() = 0;
  // Blocks the thread that calls. For the threads that a library brings along; ours are given tasks and wait for
  // nothing.
  virtual void sleep(std::chrono::microseconds time);
};

Clock& system_clock();

}  // namespace tidemill
