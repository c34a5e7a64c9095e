#include "tools/cli/times.h"

namespace tidemill::cli {

std::optional<WallTime> parse_time(const std::string& text) {
  constexpr std::size_t kDay = std::string_view("2027-01-31").size();
  return parse_rfc3339(text.size() == kDay ? text + "T00:00:00Z" : text);
}

}  // namespace tidemill::cli
