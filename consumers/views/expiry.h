#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "consumers/views/cell.h"

namespace tidemill::views {

// A length of time as WITH says it: '30 days', '90m', '1 month'. Months are those of the calendar.
struct TimeSpan {
  std::int64_t ms = 0;
  std::uint32_t months = 0;
  std::string text;  // as written
};
std::optional<TimeSpan> read_time_span(std::string_view text);  // nullopt: it is none, or nothing

// When the rows of a view go. Stream time decides, never a clock: the latest _time of the records that were read, those
// that WHERE leaves out among them. So it is the same in each rebuild, and stands still while nothing comes.
//
// A row has a deadline. It is gone for readers, and for the record that would have been counted in it, as soon as
// stream time is not before that; its bytes go in pieces, later.
struct Expiry {
  TimeSpan after;                       // the row's last record; where there are windows, the end of its window
  std::optional<std::uint32_t> window;  // the group term that says when the row's window begins
  TimeSpan size;                        // of a window

  std::int64_t deadline_after(std::int64_t time_ms) const { return time_ms + after.ms; }
  // nullopt: that is no time when a window could begin.
  std::optional<std::int64_t> deadline_of(Cell window_begins) const;
  // Deadlines are looked after by the bucket: the time, not before the deadline, at which the row's bytes may go. A row
  // that is touched again and again keeps its bucket for a 64th of its time, so that most records move none.
  std::int64_t bucket(std::int64_t deadline_ms) const;
};

}  // namespace tidemill::views
