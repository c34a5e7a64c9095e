#include "tools/cli/log/repeats.h"

#include <algorithm>
#include <tuple>

namespace tidemill::cli {

Repeats::Decision Repeats::see(std::string_view line, MonotonicTime now) {
  for (Entry& e : entries_) {
    if (e.line != line || e.line.empty()) continue;
    if (now - e.written < quiet_) {
      ++e.left_out;
      return {false, 0};
    }
    const Decision d{true, e.left_out};
    e.left_out = 0;
    e.written = now;
    return d;
  }
  // The oldest goes; one that still has a count to tell stays as long as others do.
  Entry& oldest = *std::min_element(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
    return std::tuple(!a.line.empty(), a.left_out != 0, a.written) <
           std::tuple(!b.line.empty(), b.left_out != 0, b.written);
  });
  oldest = {std::string(line), now, 0};
  return {true, 0};
}

std::vector<Repeats::LeftOut> Repeats::flush(MonotonicTime before) {
  std::vector<LeftOut> out;
  for (Entry& e : entries_) {
    if (e.left_out == 0 || e.written > before) continue;
    out.push_back({std::move(e.line), e.left_out});
    e = {};
  }
  return out;
}

bool Floods::see(std::string_view message, MonotonicTime now) {
  const auto it = entries_.find(message);
  Entry& entry = it != entries_.end() ? it->second : entries_.emplace(message, Entry{now, 0}).first->second;
  return ++entry.lines <= kLines;
}

std::vector<Repeats::LeftOut> Floods::flush(MonotonicTime now) {
  std::vector<Repeats::LeftOut> out;
  std::erase_if(entries_, [&](const auto& item) {
    const auto& [message, entry] = item;
    if (now < entry.began + window_) return false;
    if (entry.lines > kLines) out.push_back({message, entry.lines - kLines});
    return true;
  });
  return out;
}

}  // namespace tidemill::cli
