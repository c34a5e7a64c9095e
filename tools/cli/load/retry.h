#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string_view>

namespace tidemill::cli {

// What all parts of a load look at: whether to go on. Any thread; interrupt() also from a thread that only waits for
// signals.
class LoadStop {
 public:
  void stop();
  bool stopped() const { return flag_.load(); }
  const std::atomic<bool>& flag() const { return flag_; }
  // False: stopped meanwhile.
  bool sleep(std::chrono::milliseconds time);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> flag_{false};
};

// How long to wait before the next try, and when to give up: an outage may last `limit`, counted from its first
// failure, and no wait goes beyond that. Says nothing about time by itself, so that it can be tested without any.
class Retry {
 public:
  using milliseconds = std::chrono::milliseconds;
  using TimePoint = std::chrono::steady_clock::time_point;
  explicit Retry(milliseconds limit) : limit_(limit) {}

  // After a failure; `asked` is what the server would like. nullopt: enough.
  std::optional<milliseconds> failed(TimePoint now, std::optional<milliseconds> asked = {});
  // After a server that lives asked to wait. nullopt: longer than is left, so that a try before would be in vain.
  std::optional<milliseconds> told_to_wait(TimePoint now, milliseconds asked);
  // The server answered: whatever it was is over.
  void answered() { since_.reset(); }
  // It took something from somebody else then: whoever was told to wait has been waiting in vain only since then.
  void others_were_answered(TimePoint when);
  milliseconds limit() const { return limit_; }

  // The seconds of `Retry-After`, at least 50 ms; nullopt where it says nothing that can be read.
  static std::optional<milliseconds> asked(std::string_view header);
  // The same within reason, at most a minute; `otherwise` where it says nothing.
  static milliseconds retry_after(std::string_view header, milliseconds otherwise);

 private:
  std::chrono::milliseconds limit_;
  std::chrono::milliseconds pause_{0};
  std::optional<std::chrono::steady_clock::time_point> since_;
};

}  // namespace tidemill::cli
