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
// failure. Says nothing about time by itself, so that it can be tested without any.
class Retry {
 public:
  explicit Retry(std::chrono::milliseconds limit) : limit_(limit) {}

  // After a failure. nullopt: enough.
  std::optional<std::chrono::milliseconds> failed(std::chrono::steady_clock::time_point now);
  // The server answered: whatever it was is over.
  void answered() { since_.reset(); }
  // What `Retry-After` asks for, within reason; `otherwise` where it says nothing that can be read.
  static std::chrono::milliseconds retry_after(std::string_view header, std::chrono::milliseconds otherwise);

 private:
  std::chrono::milliseconds limit_;
  std::chrono::milliseconds pause_{0};
  std::optional<std::chrono::steady_clock::time_point> since_;
};

}  // namespace tidemill::cli
