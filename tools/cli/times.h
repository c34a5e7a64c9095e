#pragma once

#include <optional>
#include <string>

#include "storage/base/time.h"

namespace tidemill::cli {

// A time as it is given on the command line: RFC 3339, or a day such as 2027-01-31, which is its midnight in UTC.
std::optional<WallTime> parse_time(const std::string& text);
// The same, or how long before `now` it was: 24h, 2d. Before 1970 nothing was.
std::optional<WallTime> parse_past(const std::string& text, WallTime now);
// A place in a log, as the server takes it: a day, and how long ago, become a time. What is neither stays as it is, for
// the server knows it or says what is wrong with it.
std::string place_text(const std::string& text, WallTime now);

}  // namespace tidemill::cli
