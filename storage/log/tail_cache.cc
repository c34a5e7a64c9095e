#include "storage/log/tail_cache.h"

#include <algorithm>

namespace tidemill {

void TailCache::add(std::shared_ptr<const Block> block) {
  std::shared_ptr<const Block> last_reference;  // freed outside the lock; more than one only after a huge commit
  std::lock_guard lock(mutex_);
  bytes_ += block->bytes();
  blocks_.push_back(std::move(block));
  while (bytes_ > bytes_max_ && !blocks_.empty()) {
    bytes_ -= blocks_.front()->bytes();
    last_reference = std::move(blocks_.front());
    blocks_.pop_front();
  }
}

std::shared_ptr<const Block> TailCache::find(Sequence s) const {
  std::lock_guard lock(mutex_);
  const auto it = std::partition_point(blocks_.begin(), blocks_.end(), [&](const auto& b) { return b->last() < s; });
  if (it == blocks_.end() || (*it)->first() > s) return nullptr;
  return *it;
}

std::uint64_t TailCache::bytes() const {
  std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace tidemill
