#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace tidemill {

// What a clock on the wall shows: UTC, milliseconds. May jump. For names, answers and look-ups by time.
using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;
// What a stopwatch shows. Never jumps back. For ages, waits and latencies.
using MonotonicTime = std::chrono::time_point<std::chrono::steady_clock, std::chrono::nanoseconds>;

// RFC 3339, UTC, milliseconds: 2011-12-09T12:50:00.000Z
std::string format_rfc3339(WallTime time);
// Any RFC 3339 time with `Z` or an offset; fractions beyond the millisecond are cut off.
std::optional<WallTime> parse_rfc3339(std::string_view text);
// Basic ISO 8601 for file names: 20111209T125000Z
std::string format_basic(WallTime time);

}  // namespace tidemill
