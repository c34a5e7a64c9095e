#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "storage/log/append.h"
#include "storage/log/commit_reader.h"
#include "storage/log/request_budget.h"

namespace tidemill {

// Finds numbers by 128-bit key hashes: open addressing over 32-bit slots, for the keys themselves are kept elsewhere.
// `key_of(n)` gives the key of number n. Grows by itself; costs 8 to 16 bytes a key.
class KeyTable {
 public:
  using Key = std::array<std::byte, 16>;

  template <class KeyOf>
  std::optional<std::uint32_t> find(const Key& key, KeyOf key_of) const {
    if (slots_.empty()) return std::nullopt;
    for (std::size_t i = home(key);; i = (i + 1) & mask()) {
      if (slots_[i] == kEmpty) return std::nullopt;
      if (key_of(slots_[i]) == key) return slots_[i];
    }
  }
  // The key must not be there.
  template <class KeyOf>
  void insert(const Key& key, std::uint32_t number, KeyOf key_of) {
    if ((used_ + 1) * 2 > slots_.size()) grow(key_of);
    place(key, number);
    ++used_;
  }
  // The key must be there.
  template <class KeyOf>
  void erase(const Key& key, std::uint32_t number, KeyOf key_of) {
    std::size_t i = home(key);
    while (slots_[i] != number) i = (i + 1) & mask();
    // Closes the hole with whatever may move back into it.
    for (std::size_t j = i;;) {
      j = (j + 1) & mask();
      if (slots_[j] == kEmpty) break;
      const std::size_t k = home(key_of(slots_[j]));
      if (((j - k) & mask()) >= ((j - i) & mask())) {
        slots_[i] = slots_[j];
        i = j;
      }
    }
    slots_[i] = kEmpty;
    --used_;
  }
  std::size_t bytes() const { return slots_.size() * sizeof(std::uint32_t); }

 private:
  static constexpr std::uint32_t kEmpty = ~0u;
  std::size_t mask() const { return slots_.size() - 1; }
  std::size_t home(const Key& key) const;
  void place(const Key& key, std::uint32_t number) {
    std::size_t i = home(key);
    while (slots_[i] != kEmpty) i = (i + 1) & mask();
    slots_[i] = number;
  }
  template <class KeyOf>
  void grow(KeyOf key_of) {
    std::vector<std::uint32_t> old(slots_.empty() ? 64 : slots_.size() * 2, kEmpty);
    old.swap(slots_);
    for (const std::uint32_t n : old) {
      if (n != kEmpty) place(key_of(n), n);
    }
  }

  std::vector<std::uint32_t> slots_;
  std::size_t used_ = 0;
};

// The answers of the latest keyed requests, so that a retry gets the same one. Holds a number of keys, and fewer where
// the budget of all windows says so; the oldest goes first. Not synchronised: the log's queue lock guards it.
class RequestWindow {
 public:
  explicit RequestWindow(std::uint32_t keys_max) : keys_max_(keys_max) {}

  struct Answer {
    std::uint64_t body_hash = 0;
    Sequence first;
    std::uint32_t accepted = 0;
    std::span<const RejectedRecord> rejected;
  };
  // From here on it asks before it grows, and has gone back to what there is room for.
  void join(std::unique_ptr<RequestBudget::Account> account);
  std::unique_ptr<RequestBudget::Account> leave();
  void give_way();  // an eighth of its keys, and their memory
  void gave_way() const { account_->gave_way(); }

  std::optional<Answer> find(const RequestIdentity& identity) const;
  // A key that is there already keeps its answer (recovery meets requests twice). False then.
  bool add(const RequestIdentity& identity, Sequence first, std::uint32_t accepted,
           std::span<const RejectedRecord> rejected);

  // Numbers of all requests ever added, and of the oldest still held: [oldest, total).
  std::uint64_t total() const { return total_; }
  std::uint64_t oldest() const { return total_ - held_; }
  std::uint64_t size() const { return held_; }
  std::size_t bytes() const;  // what it may take before it grows again
  // Keys that are added later are younger than this moment. To know since when the oldest one is there.
  void mark(MonotonicTime now);
  // Copies requests from `begin` (>= oldest()) on for a snapshot, at most up to `end` and about 1 MiB. Returns where to
  // go on.
  std::uint64_t copy(std::uint64_t begin, std::uint64_t end, std::vector<StoredRequest>& out) const;

 private:
  struct Entry {
    RequestIdentity identity;
    Sequence first;
    std::uint32_t accepted = 0;
    std::uint32_t rejected = 0;  // how many; the list is in rejected_
  };
  std::size_t ring_index(std::uint64_t number) const { return static_cast<std::size_t>(number % ring_.size()); }
  static std::size_t bytes_of(std::size_t entries);
  bool try_size(std::size_t entries);
  bool grow();
  void resize(std::size_t entries);
  void publish() const;
  void drop_oldest();
  auto key_of() const {
    return [this](std::uint32_t i) -> const KeyTable::Key& { return ring_[i].identity.key_hash; };
  }

  std::uint32_t keys_max_;
  std::vector<Entry> ring_;  // entry n at n % size
  KeyTable table_;
  std::uint64_t total_ = 0;
  std::uint64_t held_ = 0;
  std::unordered_map<std::uint64_t, std::vector<RejectedRecord>> rejected_;  // by number; most requests have none
  std::size_t rejected_bytes_ = 0;
  std::unique_ptr<RequestBudget::Account> account_;
  std::uint64_t grow_again_at_ = 0;  // not asked again before so many requests
  struct Mark {
    std::uint64_t total;
    MonotonicTime at;
  };
  std::deque<Mark> marks_;  // of some moments, the first one before the oldest key
};

}  // namespace tidemill
