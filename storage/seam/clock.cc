#include "storage/seam/clock.h"

namespace tidemill {
namespace {

class SystemClock final : public Clock {
 public:
  WallTime wall() override { return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()); }
  MonotonicTime monotonic() override { return std::chrono::steady_clock::now(); }
};

}  // namespace

Clock& system_clock() {
  static SystemClock clock;
  return clock;
}

}  // namespace tidemill
