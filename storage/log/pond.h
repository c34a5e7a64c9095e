#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "storage/base/time.h"
#include "storage/log/commit_writer.h"
#include "storage/log/drain_rate.h"
#include "storage/log/flush_turns.h"
#include "storage/log/request_budget.h"
#include "storage/log/tail_cache.h"

namespace tidemill {

// The bytes of all appends in flight. A log may have as many as a third of what is free: so one alone gets a quarter of
// the whole, many get equal parts, and there is always something left for one that comes later. A log with nothing in
// flight gets one request in, whatever its size, as long as there is any room. Any thread.
class InFlightBudget {
 public:
  explicit InFlightBudget(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  // A log that has `own` bytes in flight asks for `more`. False: not now.
  bool take(std::uint64_t own, std::uint64_t more, MonotonicTime now);
  void give_back(std::uint64_t bytes, MonotonicTime now);
  // After a refusal, with the same numbers: how many of its own bytes must go first; 0: those of others must, and it
  // will take about time_for_room().
  std::uint64_t own_excess(std::uint64_t own, std::uint64_t more) const;
  std::chrono::nanoseconds time_for_room(MonotonicTime now) const;

  std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  std::uint64_t bytes_max() const { return bytes_max_; }

 private:
  const std::uint64_t bytes_max_;
  std::atomic<std::uint64_t> bytes_{0};
  mutable std::mutex drain_mutex_;
  DrainRate drain_;
};

// What the logs of one process share, so that a thousand streams cost no thousand times as much. Outlives them.
class Pond {
 public:
  struct Options {
    std::uint64_t in_flight_bytes_max = 32 << 20;  // of all appends that wait or are being written
    std::uint64_t tail_bytes_max = 16 << 20;       // of recent commits kept for readers
    std::uint64_t requests_bytes_max = 64 << 20;   // of the answers to keyed requests
  };
  explicit Pond(const Options& options)
      : in_flight(options.in_flight_bytes_max), tails(options.tail_bytes_max), requests(options.requests_bytes_max) {}

  InFlightBudget in_flight;
  FlushTurns turns;
  TailStore tails;
  RequestBudget requests;

  // Whoever writes a commit borrows the buffers for it: there are as many as flush threads.
  std::unique_ptr<CommitWriter> borrow_encoder();
  void give_back(std::unique_ptr<CommitWriter> encoder);

 private:
  std::mutex encoders_mutex_;
  std::vector<std::unique_ptr<CommitWriter>> encoders_;
};

}  // namespace tidemill
