#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>

#include "storage/log/block.h"

namespace tidemill {

class TailCache;

// Bounds the latest commits of several logs together: the oldest of all goes first. Outlives their caches.
class TailStore {
 public:
  explicit TailStore(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}
  std::uint64_t bytes() const;

 private:
  friend class TailCache;
  const std::uint64_t bytes_max_;
  mutable std::mutex mutex_;  // of the store and all of its caches
  std::deque<TailCache*> order_;
  std::uint64_t bytes_ = 0;
};

// The latest commits of one log, for readers that follow the end. Any thread.
class TailCache {
 public:
  explicit TailCache(TailStore& store) : store_(store) {}
  ~TailCache();
  TailCache(const TailCache&) = delete;
  TailCache& operator=(const TailCache&) = delete;

  // In order, each right after the one before.
  void add(std::shared_ptr<const Block> block);
  // The block with this record; nullptr: not here.
  std::shared_ptr<const Block> find(Sequence s) const;

 private:
  TailStore& store_;
  std::deque<std::shared_ptr<const Block>> blocks_;  // under the store's lock
};

}  // namespace tidemill
