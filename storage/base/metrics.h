#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

namespace tidemill {

// The numbers that a part keeps about itself, with no metrics library in sight: api/metrics turns them into
// Prometheus' families when it is scraped. Any thread; relaxed, for nobody orders anything by them.
class Counter {
 public:
  void add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class Gauge {
 public:
  void set(std::int64_t v) { value_.store(v, std::memory_order_relaxed); }
  void add(std::int64_t n) { value_.fetch_add(n, std::memory_order_relaxed); }
  std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

// Counts of observations up to each bound, and their sum, in the unit of the bounds (integers: microseconds,
// records, bytes; api/metrics scales to base units). Bounds are fixed when made; an observation costs a short
// linear search and three relaxed adds.
class Histogram {
 public:
  explicit Histogram(std::span<const std::uint64_t> bounds)
      : bounds_(bounds.begin(), bounds.end()), counts_(bounds.size() + 1) {}
  void observe(std::uint64_t v, std::uint64_t times = 1) {
    std::size_t i = 0;
    while (i < bounds_.size() && v > bounds_[i]) ++i;
    counts_[i].fetch_add(times, std::memory_order_relaxed);
    sum_.fetch_add(v * times, std::memory_order_relaxed);
  }
  std::span<const std::uint64_t> bounds() const { return bounds_; }
  std::uint64_t count(std::size_t bucket) const { return counts_[bucket].load(std::memory_order_relaxed); }
  std::uint64_t sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  std::vector<std::uint64_t> bounds_;
  std::vector<std::atomic<std::uint64_t>> counts_;
  std::atomic<std::uint64_t> sum_{0};
};

// 50 us to 10 s, for anything that waits for a disk or a client.
inline constexpr std::array<std::uint64_t, 17> kLatencyBoundsUs{
    50,     100,    200,    350,     500,     750,       1'000,     2'000,     5'000,
    10'000, 20'000, 50'000, 100'000, 500'000, 1'000'000, 5'000'000, 10'000'000};
// 1 to 100,000, for how many of something went together.
inline constexpr std::array<std::uint64_t, 16> kCountBounds{1,   2,     5,     10,    20,     50,     100,    200,
                                                            500, 1'000, 2'000, 5'000, 10'000, 20'000, 50'000, 100'000};

}  // namespace tidemill
