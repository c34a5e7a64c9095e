#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "engine/limits/limit_set.h"
#include "storage/base/time.h"

namespace tidemill {

// A token bucket, as what is missing in it and when that was so: nothing has to fill it. All integers and exact: in any
// time t it lets through at most rate * t + burst, and not a token less to whoever asks for it. The caller locks.
//
// More than the burst at once passes when the bucket is full, and leaves it in debt: the rate holds over time, and
// nothing that a client may send can never pass.
class TokenBucket {
 public:
  using Wait = std::chrono::nanoseconds;

  // Until so much would pass; 0: it passes.
  Wait wait(const Rate& rate, MonotonicTime now, std::uint64_t amount) const {
    return time_for(rate, missing(rate, now) + parts(std::min(amount, rate.burst)) - parts(rate.burst));
  }
  void take(const Rate& rate, MonotonicTime now, std::uint64_t amount) {
    missing_ = missing(rate, now) + parts(amount);
    at_ = now;
  }
  void give_back(std::uint64_t amount) { missing_ = std::max<Parts>(0, missing_ - parts(amount)); }
  std::uint64_t left(const Rate& rate, MonotonicTime now) const {
    const Parts there = parts(rate.burst) - missing(rate, now);
    return there <= 0 ? 0 : static_cast<std::uint64_t>(there / kPart);
  }
  // Until it is full.
  Wait until_full(const Rate& rate, MonotonicTime now) const { return time_for(rate, missing(rate, now)); }

 private:
  __extension__ using Parts = __int128;          // billionths of a token: what one a second brings in a nanosecond
  static constexpr Parts kPart = 1'000'000'000;  // of a token
  static constexpr Parts kWaitMax = Parts(30) * 366 * 86'400 * kPart;  // 30 years: what waits longer waits for ever

  static Parts parts(std::uint64_t tokens) { return Parts(tokens) * kPart; }
  static Wait time_for(const Rate& rate, Parts parts) {
    if (parts <= 0) return Wait(0);
    return Wait(static_cast<std::int64_t>(std::min(kWaitMax, (parts + rate.per_second - 1) / rate.per_second)));
  }
  Parts missing(const Rate& rate, MonotonicTime now) const {
    return std::max<Parts>(0, missing_ - Parts(rate.per_second) * std::max(Wait(0), now - at_).count());
  }

  Parts missing_ = 0;  // at `at_`
  MonotonicTime at_{};
};

}  // namespace tidemill
