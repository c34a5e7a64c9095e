#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace tidemill::http {

// Whether bytes keep coming at some least rate. They may stand still for `slack`, and never longer: what came faster
// than it had to fills that up again and earns nothing beyond, so the rate is that of the last while and not of the
// whole life. Asked every so often, it sees a burst when it is asked. One thread.
class Pace {
 public:
  using Time = std::chrono::steady_clock::time_point;

  void begin(Time now, std::chrono::milliseconds slack) {
    until_ = now + slack;
    seen_ = 0;
  }
  // `bytes`: since begin(). False: too slow.
  bool keeps(Time now, std::uint64_t bytes, std::uint64_t per_second, std::chrono::milliseconds slack) {
    // The slack may be shorter than the time since it was last asked: what came in between counts for all of that.
    const std::uint64_t fresh = std::min<std::uint64_t>(bytes - seen_, kFreshMax);
    seen_ = bytes;
    until_ = std::min(until_ + std::chrono::microseconds(fresh * 1'000'000 / per_second), now + slack);
    return now <= until_;
  }

 private:
  static constexpr std::uint64_t kFreshMax = 1ull << 32;  // at a byte a second it still fits the clock

  Time until_{};
  std::uint64_t seen_ = 0;
};

}  // namespace tidemill::http
