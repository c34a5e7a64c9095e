#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>

#include "storage/log/block.h"

namespace tidemill {

// The latest commits, for readers that follow the end. Bounded by bytes; the oldest goes first. Any thread.
class TailCache {
 public:
  explicit TailCache(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}
  // In order, each right after the one before.
  void add(std::shared_ptr<const Block> block);
  // The block with this record; nullptr: not here.
  std::shared_ptr<const Block> find(Sequence s) const;
  std::uint64_t bytes() const;

 private:
  const std::uint64_t bytes_max_;
  mutable std::mutex mutex_;
  std::deque<std::shared_ptr<const Block>> blocks_;
  std::uint64_t bytes_ = 0;
};

}  // namespace tidemill
