#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>

#include "storage/base/time.h"

namespace tidemill::views {

// How fast definitions are built while other views are served: at full speed where no records come; half the time where
// some do; a fifth of it as long as they come late to be seen. One for all views of a server. Any thread.
class BuildPace {
 public:
  static constexpr std::chrono::milliseconds kLate{200};
  static constexpr std::chrono::seconds kRemembered{2};
  static constexpr std::chrono::nanoseconds kPauseMax = std::chrono::seconds(1);

  // A batch has become visible; `age` is that of its first record.
  void served(std::chrono::milliseconds age, MonotonicTime now) {
    served_.store(now);
    if (age > kLate) late_.store(now);
  }
  // What to wait after a slice of building that took `spent`.
  std::chrono::nanoseconds pause(std::chrono::nanoseconds spent, MonotonicTime now) const {
    const auto lately = [now](MonotonicTime then) { return then != MonotonicTime::min() && now - then <= kRemembered; };
    const int times = lately(late_.load()) ? 4 : lately(served_.load()) ? 1 : 0;
    return std::min(spent * times, kPauseMax);
  }

 private:
  std::atomic<MonotonicTime> served_{MonotonicTime::min()};
  std::atomic<MonotonicTime> late_{MonotonicTime::min()};
};

}  // namespace tidemill::views
