#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <mutex>

#include "storage/log/drain_rate.h"

namespace tidemill::http {

// The large receive buffers of all connections together: how much they are, and how fast they are given back, for who
// finds no room. Any thread.
class BodyMemory {
 public:
  // A buffer has grown; 0: there was none.
  void grow(std::size_t from, std::size_t to, MonotonicTime now) {
    const std::lock_guard lock(mutex_);
    if (held_ == 0) drain_.busy(now);
    held_ += to - from;
  }
  void give_back(std::size_t bytes, MonotonicTime now) {
    const std::lock_guard lock(mutex_);
    held_ -= bytes;
    drain_.drained(bytes, now);
  }
  bool fits(std::size_t bytes, std::size_t limit) const {
    const std::lock_guard lock(mutex_);
    return held_ + bytes <= limit;
  }
  // When so much will probably fit. 0: nothing was given back yet.
  std::chrono::nanoseconds time_for(std::size_t bytes, std::size_t limit, MonotonicTime now) const {
    const std::lock_guard lock(mutex_);
    if (held_ + bytes <= limit) return {};
    return drain_.time_for(std::min(held_, held_ + bytes - limit), now);
  }

 private:
  mutable std::mutex mutex_;
  std::size_t held_ = 0;
  DrainRate drain_;
};

}  // namespace tidemill::http
