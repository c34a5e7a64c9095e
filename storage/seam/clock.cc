#include "storage/seam/clock.h"

#include <thread>

namespace tidemill {
namespace {

class SystemClock final : public Clock {
 public:
  WallTime wall() override { return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()); }
  MonotonicTime monotonic() override { return std::chrono::steady_clock::now(); }
};

}  // namespace

void Clock::sleep(std::chrono::microseconds time) {
  std::this_thread::sleep_for(time);
}

Clock& system_clock() {
  static SystemClock clock;
  return clock;
}

}  // namespace tidemill
