#include "tools/cli/load/retry.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace tidemill::cli {

using std::chrono::milliseconds;

void LoadStop::stop() {
  {
    const std::lock_guard lock(mutex_);
    flag_ = true;
  }
  changed_.notify_all();
}

bool LoadStop::sleep(milliseconds time) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, time, [&] { return flag_.load(); });
}

std::optional<milliseconds> Retry::failed(TimePoint now, std::optional<milliseconds> asked) {
  if (!since_) {
    since_ = now;
    pause_ = milliseconds(100);
  } else {
    pause_ = std::clamp(pause_ * 2, milliseconds(100), milliseconds(2'000));
  }
  const auto left = std::chrono::duration_cast<milliseconds>(*since_ + limit_ - now);
  if (left <= milliseconds(0)) return std::nullopt;
  return std::min(asked.value_or(pause_), left);
}

std::optional<milliseconds> Retry::told_to_wait(TimePoint now, milliseconds asked) {
  if (!since_) {
    since_ = now;
    pause_ = milliseconds(0);
  }
  const auto left = std::chrono::duration_cast<milliseconds>(*since_ + limit_ - now);
  return asked <= left ? std::optional(asked) : std::nullopt;
}

void Retry::others_were_answered(TimePoint when) {
  if (since_) since_ = std::max(*since_, when);
}

std::optional<milliseconds> Retry::asked(std::string_view header) {
  std::uint32_t seconds = 0;
  const auto [end, error] = std::from_chars(header.data(), header.data() + header.size(), seconds);
  if (header.empty() || error != std::errc() || end != header.data() + header.size()) return std::nullopt;
  return std::max(milliseconds(std::uint64_t{seconds} * 1'000), milliseconds(50));
}

milliseconds Retry::retry_after(std::string_view header, milliseconds otherwise) {
  const auto said = asked(header);
  return said ? std::min(*said, milliseconds(60'000)) : otherwise;
}

}  // namespace tidemill::cli
