#include "tools/cli/http/events.h"

#include <utility>

namespace tidemill::cli {
namespace {

// "data: x" and "data:x" are the same.
std::string_view value_of(std::string_view line, std::size_t name_bytes) {
  line.remove_prefix(name_bytes + 1);
  if (line.starts_with(' ')) line.remove_prefix(1);
  return line;
}

}  // namespace

bool Events::add(std::string_view bytes, const Take& take) {
  for (const char c : bytes) {
    if (c != '\n') {
      line_ += c;
      continue;
    }
    if (line_.ends_with('\r')) line_.pop_back();
    const bool more = end_of_line(take);
    line_.clear();
    if (!more) return false;
  }
  return true;
}

bool Events::end_of_line(const Take& take) {
  if (line_.starts_with("event:")) {
    name_ = value_of(line_, 5);
  } else if (line_.starts_with("data:")) {
    if (!data_.empty()) data_ += '\n';
    data_ += value_of(line_, 4);
  } else if (line_.starts_with("id:")) {
    next_id_ = value_of(line_, 2);
    has_id_ = true;
  }
  if (!line_.empty()) return true;
  const std::string name = std::exchange(name_, {});
  const std::string data = std::exchange(data_, {});
  if (std::exchange(has_id_, false)) id_ = next_id_;
  return data.empty() || take(name, data);
}

void Events::clear() {
  line_.clear();
  name_.clear();
  data_.clear();
  has_id_ = false;
}

}  // namespace tidemill::cli
