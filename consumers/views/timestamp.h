#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "consumers/views/cell.h"

namespace tidemill::views {

// The three helpers that SQL has for dirty data, as plain functions. None reads a clock or a locale.

// ident(x): one spelling for an identifier, so that 17850, 17850.0, "17850", "17850.0" and " 17850 " are "17850".
// Leading zeros stay ("00123"). NULL for NULL and for text that is empty or blank.
std::optional<std::string_view> ident(Cell x, std::string& buffer);

// timestamp(x): YYYY-MM-DDTHH:MM:SS, or nullopt where x is no time that we know:
//   ISO 8601     2011-12-09, 2011-12-09T12:50, 2011-12-09 12:50:00.123Z, +01:00 (an offset is taken off: UTC)
//   basic        20111209T125000Z
//   American     12/9/2011, 12/9/2011 8:26, 12/9/2011 8:26:05, 12/9/2011 8:26 PM (month first)
//   epoch        a number (or text of 9 to 17 digits): seconds; milliseconds if it is 10^11 or more either way
// Fractions of a second are cut off. Years 0000 to 9999. `out` has 19 bytes.
bool timestamp(Cell x, char* out);
inline constexpr std::size_t kTimestampBytes = 19;

// number(x): x itself if it is a number, or text that is one as JSON writes it (blanks around it are fine).
std::optional<Cell> number(Cell x);

}  // namespace tidemill::views
