#include "tools/cli/load/retry.h"

#include <algorithm>
#include <charconv>

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

std::optional<milliseconds> Retry::failed(std::chrono::steady_clock::time_point now) {
  if (!since_) {
    since_ = now;
    pause_ = milliseconds(100);
  } else {
    pause_ = std::min(pause_ * 2, milliseconds(2'000));
  }
  const auto left = std::chrono::duration_cast<milliseconds>(*since_ + limit_ - now);
  if (left <= milliseconds(0)) return std::nullopt;
  return std::min(pause_, left);
}

milliseconds Retry::retry_after(std::string_view header, milliseconds otherwise) {
  unsigned seconds = 0;
  const auto [end, error] = std::from_chars(header.data(), header.data() + header.size(), seconds);
  if (header.empty() || error != std::errc() || end != header.data() + header.size()) return otherwise;
  return std::clamp(milliseconds(std::uint64_t{std::min(seconds, 60u)} * 1000), milliseconds(50), milliseconds(60'000));
}

}  // namespace tidemill::cli
