#pragma once

#include <optional>
#include <string>

#include "storage/base/time.h"

namespace tidemill::cli {

// A time as it is given on the command line: RFC 3339, or a day such as 2027-01-31, which is its midnight in UTC.
std::optional<WallTime> parse_time(const std::string& text);

}  // namespace tidemill::cli
