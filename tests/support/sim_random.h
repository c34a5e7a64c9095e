#pragma once

#include <atomic>

#include "storage/seam/random.h"

namespace tidemill {

// One step of SplitMix64: spreads any number over 64 bits.
constexpr std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// The same numbers for the same seed. Any thread.
class SimRandom final : public Random {
 public:
  explicit SimRandom(std::uint64_t seed) : state_(mix(seed)) {}
  std::uint64_t next() override { return mix(state_.fetch_add(0x9e3779b97f4a7c15)); }

  std::uint64_t below(std::uint64_t n) { return n == 0 ? 0 : next() % n; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }

 private:
  std::atomic<std::uint64_t> state_;
};

}  // namespace tidemill
