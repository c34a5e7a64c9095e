#include "tools/cli/times.h"

#include <algorithm>

#include "tools/cli/config/config.h"

namespace tidemill::cli {

std::optional<WallTime> parse_time(const std::string& text) {
  constexpr std::size_t kDay = std::string_view("2027-01-31").size();
  return parse_rfc3339(text.size() == kDay ? text + "T00:00:00Z" : text);
}

std::optional<WallTime> parse_past(const std::string& text, WallTime now) {
  if (const auto time = parse_time(text)) return time;
  const auto duration = parse_duration(text);
  if (!duration || duration->count() <= 0) return std::nullopt;
  return *duration < now.time_since_epoch() ? now - *duration : WallTime();
}

std::string place_text(const std::string& text, WallTime now) {
  const bool number =
      !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (number || parse_rfc3339(text)) return text;
  const auto time = parse_past(text, now);
  return time ? format_rfc3339(*time) : text;
}

}  // namespace tidemill::cli
