#include "storage/log/tail_cache.h"

#include <algorithm>
#include <vector>

namespace tidemill {

std::uint64_t TailStore::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

TailCache::~TailCache() {
  const std::lock_guard lock(store_.mutex_);
  for (const auto& block : blocks_) store_.bytes_ -= block->bytes();
  std::erase(store_.order_, this);
}

void TailCache::add(std::shared_ptr<const Block> block) {
  std::vector<std::shared_ptr<const Block>> gone;  // freed outside the lock; more than one only after a huge commit
  const std::lock_guard lock(store_.mutex_);
  store_.bytes_ += block->bytes();
  blocks_.push_back(std::move(block));
  store_.order_.push_back(this);
  while (store_.bytes_ > store_.bytes_max_ && !store_.order_.empty()) {
    auto& oldest = store_.order_.front()->blocks_;
    store_.bytes_ -= oldest.front()->bytes();
    gone.push_back(std::move(oldest.front()));
    oldest.pop_front();
    store_.order_.pop_front();
  }
}

std::shared_ptr<const Block> TailCache::find(Sequence s) const {
  const std::lock_guard lock(store_.mutex_);
  const auto it = std::partition_point(blocks_.begin(), blocks_.end(), [&](const auto& b) { return b->last() < s; });
  if (it == blocks_.end() || (*it)->first() > s) return nullptr;
  return *it;
}

}  // namespace tidemill
