#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "consumers/views/state.h"

namespace tidemill::views {

// Rows that were written lately, decoded, so that a hot row is neither fetched nor decoded again. The least recently
// used go first. One thread at a time. Only a copy: what is true is in the database.
class RowCache {
 public:
  explicit RowCache(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  RowState* find(std::string_view key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return &found->second->row;
  }
  RowState& insert(std::string_view key, RowState row) {
    entries_.push_front({std::string(key), std::move(row), 0});
    index_.emplace(entries_.front().key, entries_.begin());
    weigh(entries_.front());
    return entries_.front().row;
  }
  // After rows grew: counts again those of this batch and lets old ones go. References from before are gone.
  void settle(std::size_t used_in_batch) {
    auto it = entries_.begin();
    for (std::size_t i = 0; i < used_in_batch && it != entries_.end(); ++i, ++it) weigh(*it);
    while (bytes_ > bytes_max_ && !entries_.empty()) {
      bytes_ -= entries_.back().bytes;
      index_.erase(entries_.back().key);
      entries_.pop_back();
    }
  }
  void erase(std::string_view key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return;
    const auto entry = found->second;
    bytes_ -= entry->bytes;
    index_.erase(found);
    entries_.erase(entry);
  }
  void clear() {
    index_.clear();
    entries_.clear();
    bytes_ = 0;
  }
  std::uint64_t bytes() const { return bytes_; }

 private:
  struct Entry {
    std::string key;
    RowState row;
    std::size_t bytes;
  };
  void weigh(Entry& entry) {
    bytes_ -= entry.bytes;
    entry.bytes = entry.row.memory() + entry.key.capacity() + 160;  // list, table and allocation
    bytes_ += entry.bytes;
  }
  const std::uint64_t bytes_max_;
  std::uint64_t bytes_ = 0;
  std::list<Entry> entries_;  // latest first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> index_;
};

}  // namespace tidemill::views
