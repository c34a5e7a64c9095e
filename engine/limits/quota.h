#pragma once

#include <chrono>
#include <cstdint>

#include "engine/limits/limit_set.h"
#include "storage/base/time.h"

namespace tidemill {

struct Moment {
  WallTime wall{};
  MonotonicTime monotonic{};
};

// A day or a month of the calendar, in UTC.
enum class Period : std::uint8_t { day, month };
std::int64_t period_of(Period period, WallTime time);  // counted since 1970
WallTime beginning_of(Period period, std::int64_t number);

// What was used in this day or month. The caller locks.
//
// The clock on the wall says when a period ends. Set back, it does not give a second quota: the period that had begun
// goes on, until the clock comes to its end or as much time as it lasts has really passed.
class Quota {
 public:
  explicit Quota(Period period) : period_(period) {}

  // Before anything else is asked: what time it is.
  void look(const Moment& now);
  std::uint64_t used(Measure m) const { return used_[m]; }
  void add(const Amounts& amounts);
  // What was taken at that moment, or a little later: where another period has begun since, that has none of it.
  void give_back(const Amounts& amounts, MonotonicTime taken);
  // What is known from elsewhere to have been used in the present period: not less than that.
  void at_least(const Amounts& amounts);
  std::chrono::nanoseconds until_next(const Moment& now) const;
  bool unused() const { return used_.of == Amounts().of; }
  std::chrono::seconds window() const { return std::chrono::duration_cast<std::chrono::seconds>(length()); }

 private:
  std::chrono::nanoseconds length() const;
  const Period period_;
  std::int64_t number_ = -1;
  MonotonicTime since_{};                       // when it was seen to begin
  MonotonicTime ended_ = MonotonicTime::min();  // when the one before it was seen to end
  Amounts used_;
};

}  // namespace tidemill
