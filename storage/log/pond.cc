#include "storage/log/pond.h"

#include <algorithm>

#include "storage/base/check.h"

namespace tidemill {
namespace {

constexpr std::uint64_t kPartOfFree = 3;

}  // namespace

bool InFlightBudget::take(std::uint64_t own, std::uint64_t more, MonotonicTime now) {
  std::uint64_t all = bytes_.load(std::memory_order_relaxed);
  for (;;) {
    if (own == 0 ? all >= bytes_max_ : own_excess(own, more) != 0 || all + more > bytes_max_) return false;
    if (all == 0) {
      // From here on it drains: said before anybody can have given something back.
      const std::lock_guard lock(drain_mutex_);
      if (bytes_.load(std::memory_order_relaxed) == 0) drain_.busy(now);
    }
    if (bytes_.compare_exchange_weak(all, all + more, std::memory_order_relaxed)) return true;
  }
}

void InFlightBudget::give_back(std::uint64_t bytes, MonotonicTime now) {
  const std::lock_guard lock(drain_mutex_);
  drain_.drained(bytes, now);
  const std::uint64_t before = bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  CHECK(before >= bytes);
}

// own + more - x <= (max - (all + more - x)) / 3, for the smallest x.
std::uint64_t InFlightBudget::own_excess(std::uint64_t own, std::uint64_t more) const {
  const std::uint64_t all = bytes_.load(std::memory_order_relaxed);
  const std::uint64_t wanted = kPartOfFree * (own + more) + all + more;
  if (wanted <= bytes_max_) return 0;
  return std::min(own, (wanted - bytes_max_ + kPartOfFree) / (kPartOfFree + 1));
}

std::chrono::nanoseconds InFlightBudget::time_for_room(MonotonicTime now) const {
  const std::lock_guard lock(drain_mutex_);
  const std::uint64_t all = bytes_.load(std::memory_order_relaxed);
  return drain_.time_for(all >= bytes_max_ ? all - bytes_max_ + 1 : 1, now);
}

std::unique_ptr<CommitWriter> Pond::borrow_encoder() {
  {
    const std::lock_guard lock(encoders_mutex_);
    if (!encoders_.empty()) {
      auto encoder = std::move(encoders_.back());
      encoders_.pop_back();
      return encoder;
    }
  }
  return std::make_unique<CommitWriter>();
}

void Pond::give_back(std::unique_ptr<CommitWriter> encoder) {
  const std::lock_guard lock(encoders_mutex_);
  encoders_.push_back(std::move(encoder));
}

}  // namespace tidemill
