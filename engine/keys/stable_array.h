#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "storage/base/check.h"

namespace tidemill {

// An array that grows at its end and never moves what is in it: who got an index by an acquiring load may read the
// element without a lock, while one writer at a time appends.
template <class T, std::size_t kPerChunk, std::size_t kChunks = 4096>
class StableArray {
 public:
  static constexpr std::size_t kMax = kPerChunk * kChunks;

  StableArray() = default;
  ~StableArray() {
    for (auto& chunk : chunks_) delete[] chunk.load(std::memory_order_relaxed);
  }
  StableArray(const StableArray&) = delete;
  StableArray& operator=(const StableArray&) = delete;

  T& operator[](std::size_t i) const { return chunks_[i / kPerChunk].load(std::memory_order_acquire)[i % kPerChunk]; }
  std::size_t size() const { return size_.load(std::memory_order_acquire); }
  bool full() const { return size() == kMax; }
  std::uint64_t bytes() const { return (size() + kPerChunk - 1) / kPerChunk * kPerChunk * sizeof(T) + sizeof *this; }

  // The new last element, for the writer to fill; nobody knows of it before publish().
  T& prepare() {
    const std::size_t i = size_.load(std::memory_order_relaxed);
    CHECK(i < kMax);
    auto& chunk = chunks_[i / kPerChunk];
    if (chunk.load(std::memory_order_relaxed) == nullptr) chunk.store(new T[kPerChunk]{}, std::memory_order_release);
    return (*this)[i];
  }
  std::size_t publish() {
    const std::size_t i = size_.load(std::memory_order_relaxed);
    size_.store(i + 1, std::memory_order_release);
    return i;
  }

 private:
  std::array<std::atomic<T*>, kChunks> chunks_{};
  std::atomic<std::size_t> size_{0};
};

}  // namespace tidemill
