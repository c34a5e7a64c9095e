#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "api/http/loop.h"
#include "api/http/target.h"
#include "consumers/views/views.h"

namespace tidemill {

// Requests that wait until views show a position (after=, ack=view). Any thread.
class Waits {
 public:
  // Calls `then` on the loop once every view shows the position (true), or after `wait` or at the drain (false).
  void until_applied(http::Loop& loop, std::shared_ptr<views::Views> views, const std::vector<std::string>& names,
                     Position position, std::chrono::milliseconds wait, std::function<void(bool)> then);
  // All waits end now, and those that come later at once.
  void end_all();
  std::size_t waiting() const;

 private:
  struct Wait;
  void forget(const std::shared_ptr<Wait>& wait);

  mutable std::mutex mutex_;
  bool ended_ = false;
  std::set<std::shared_ptr<Wait>> waits_;
};

inline constexpr std::chrono::milliseconds kWaitDefault{5'000};
inline constexpr std::chrono::milliseconds kWaitMax{60'000};
// `wait` of the query, in milliseconds; nullopt: not a number, or more than kWaitMax.
std::optional<std::chrono::milliseconds> wait_of(const http::Query& query);
inline constexpr std::string_view kWaitSentence = "`wait` is a number of milliseconds, at most 60,000.";

}  // namespace tidemill
