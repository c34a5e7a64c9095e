#pragma once

#include <string_view>

#include "storage/base/result.h"
#include "storage/log/log.h"

namespace tidemill {

// Where a reader begins, as its user says it: earliest, latest, a sequence (0 is earliest) or an RFC 3339 time.
inline constexpr const char* kFromSentence =
    "earliest, latest, a sequence number or an RFC 3339 time such as 2011-12-09T12:50:00Z";
bool is_from(std::string_view from);
// The sequence of it; of a time, the first record that arrived then or later. `from` is one. Blocks on the disk. May
// lie beyond the end, or before the start.
Result<Sequence> start_of(Log& log, std::string_view from);

// The first record that arrived at `time` or later; behind the last durable one if there is none. Blocks on the disk.
Result<Sequence> first_since(Log& log, WallTime time);

}  // namespace tidemill
