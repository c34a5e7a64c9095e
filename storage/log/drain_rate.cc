#include "storage/log/drain_rate.h"

#include <algorithm>
#include <cmath>

namespace tidemill {
namespace {

constexpr double kHalfLife = 5;  // seconds of work: some hundred commits of a good disk, a few of a bad one
constexpr double kSecondsMax = 1e6;

double seconds(std::chrono::nanoseconds t) {
  return std::max(0.0, std::chrono::duration<double>(t).count());
}

}  // namespace

void DrainRate::drained(std::uint64_t bytes, MonotonicTime now) {
  const double took = seconds(now - since_);
  const double kept = std::exp2(-took / kHalfLife);
  bytes_ = bytes_ * kept + static_cast<double>(bytes);
  seconds_ = seconds_ * kept + took;
  since_ = now;
}

std::chrono::nanoseconds DrainRate::time_for(std::uint64_t bytes, MonotonicTime now) const {
  DrainRate as_of_now = *this;
  as_of_now.drained(0, now);
  if (as_of_now.bytes_ <= 0) return {};
  const double needed = static_cast<double>(bytes) * as_of_now.seconds_ / as_of_now.bytes_;
  return std::chrono::nanoseconds(static_cast<std::int64_t>(std::min(needed, kSecondsMax) * 1e9));
}

}  // namespace tidemill
