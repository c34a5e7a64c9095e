#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>

namespace tidemill {

inline constexpr std::size_t kBlockBytes = 4096;  // commits start and end on such a boundary

constexpr std::uint64_t round_up(std::uint64_t n, std::uint64_t unit) {
  return (n + unit - 1) / unit * unit;
}

// Memory that starts on a block boundary (direct I/O needs that) and is used again and again. Grows, keeping nothing.
class AlignedBuffer {
 public:
  std::byte* reserve(std::size_t n) {
    if (n > capacity_) {
      capacity_ = round_up(std::max(n, capacity_ + capacity_ / 2), kBlockBytes);
      data_.reset();
      data_.reset(static_cast<std::byte*>(std::aligned_alloc(kBlockBytes, capacity_)));
      if (!data_) throw std::bad_alloc();
    }
    return data_.get();
  }
  // After one huge request: give the memory back.
  void shrink(std::size_t n_max) {
    if (capacity_ <= n_max) return;
    data_.reset();
    capacity_ = 0;
  }
  std::byte* data() const { return data_.get(); }
  std::size_t capacity() const { return capacity_; }

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  std::unique_ptr<std::byte, Free> data_;
  std::size_t capacity_ = 0;
};

}  // namespace tidemill
