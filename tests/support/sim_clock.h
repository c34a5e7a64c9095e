#pragma once

#include <atomic>
#include <thread>

#include "storage/seam/clock.h"

namespace tidemill {

// Stands still until told otherwise. Starts on a round wall time, 2026-01-02T03:04:05.000Z. Any thread.
class SimClock final : public Clock {
 public:
  WallTime wall() override { return WallTime(std::chrono::milliseconds(wall_ns_.load() / 1'000'000)); }
  MonotonicTime monotonic() override { return MonotonicTime(std::chrono::nanoseconds(monotonic_ns_.load())); }
  void sleep(std::chrono::microseconds) override { std::this_thread::yield(); }  // over at once

  // Time passes on both clocks. (SimExecutor calls it; with an executor use its run_for, so that timers fire.)
  void advance(std::chrono::nanoseconds by) {
    wall_ns_ += by.count();
    monotonic_ns_ += by.count();
  }
  void set_wall(WallTime t) { wall_ns_ = std::chrono::nanoseconds(t.time_since_epoch()).count(); }
  void jump_wall(std::chrono::milliseconds by) {
    wall_ns_ += std::chrono::nanoseconds(by).count();
  }  // NTP, an operator

 private:
  std::atomic<std::int64_t> wall_ns_{1'767'323'045'000'000'000};
  std::atomic<std::int64_t> monotonic_ns_{1'000'000'000'000};
};

}  // namespace tidemill
