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
    // More than fills the slack is not counted: it might not fit the clock.
    const std::uint64_t most = static_cast<std::uint64_t>(slack.count()) * per_second / 1000 + 1;
    const std::uint64_t fresh = std::min(bytes - seen_, most);
    seen_ = bytes;
    until_ = std::min(until_ + std::chrono::microseconds(fresh * 1'000'000 / per_second), now + slack);
    return now <= until_;
  }

 private:
  Time until_{};
  std::uint64_t seen_ = 0;
};

}  // namespace tidemill::http
