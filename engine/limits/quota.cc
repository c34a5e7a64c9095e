#include "engine/limits/quota.h"

#include <algorithm>

namespace tidemill {

std::int64_t period_of(Period period, WallTime time) {
  const auto days = std::chrono::floor<std::chrono::days>(time);
  if (period == Period::day) return days.time_since_epoch().count();
  const std::chrono::year_month_day date(days);
  return (static_cast<int>(date.year()) - 1970) * 12 + static_cast<std::int64_t>(static_cast<unsigned>(date.month())) -
         1;
}

WallTime beginning_of(Period period, std::int64_t number) {
  using namespace std::chrono;
  if (period == Period::day) return WallTime(days(number));
  return sys_days(year(static_cast<int>(1970 + number / 12)) / month(static_cast<unsigned>(number % 12 + 1)) / 1);
}

std::chrono::nanoseconds Quota::length() const {
  return beginning_of(period_, number_ + 1) - beginning_of(period_, number_);
}

void Quota::look(const Moment& now) {
  const std::int64_t number = period_of(period_, now.wall);
  if (number == number_) return;
  if (number < number_ && now.monotonic - since_ < length()) return;
  if (number_ != -1) ended_ = now.monotonic;
  number_ = number;
  since_ = now.monotonic;
  used_ = {};
}

void Quota::add(const Amounts& amounts) {
  for (const Measure m : kAllMeasures) used_[m] += amounts[m];
}

void Quota::give_back(const Amounts& amounts, MonotonicTime taken) {
  if (taken < ended_) return;
  for (const Measure m : kAllMeasures) used_[m] -= std::min(used_[m], amounts[m]);
}

void Quota::at_least(const Amounts& amounts) {
  for (const Measure m : kAllMeasures) used_[m] = std::max(used_[m], amounts[m]);
}

std::chrono::nanoseconds Quota::until_next(const Moment& now) const {
  const std::chrono::nanoseconds by_clock = beginning_of(period_, number_ + 1) - now.wall;
  if (period_of(period_, now.wall) == number_) return by_clock;
  return std::min(by_clock, length() - (now.monotonic - since_));
}

}  // namespace tidemill
