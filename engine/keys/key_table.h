#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/keys/keys.h"
#include "engine/keys/stable_array.h"

namespace tidemill {

// All keys in memory: 80 bytes and the name for each, 36 for each secret, 4 to 8 of the index by id. Keys with the same
// tenant and scopes share one Principal. One writer at a time (the fold of the system stream); readers on any thread,
// without a lock and without waiting.
//
// A secret's hash never changes under a reader: a rotation fills another slot and switches the key over with one store;
// the slot that is free then is used again only after a while.
class KeyTable {
 public:
  using Index = std::uint32_t;
  static constexpr std::uint32_t kNone = ~0u;

  // Times in whole seconds since 1970, rounded so that nothing lasts longer than was said; 0: never.
  struct Entry {
    KeyId id;
    const char* name = nullptr;
    std::uint8_t name_size = 0;
    KeyKind kind = KeyKind::api;
    std::uint32_t principal = 0;
    std::uint32_t created_s = 0;
    std::uint32_t expires_s = 0;
    std::atomic<std::uint32_t> revoked_s{0};
    std::atomic<std::uint64_t> secrets{~0ull};  // slots: of now in the lower half, of before in the upper one, or kNone
    std::atomic<std::uint32_t> used_min{0};     // minutes since 1970
    std::uint32_t noted_min = 0;                // as the system stream has it; the writer's
  };

  std::size_t size() const { return entries_.size(); }
  bool full() const { return entries_.full() || secrets_.full() || principals_.full(); }
  Entry& at(Index i) const { return entries_[i]; }
  std::optional<Index> find(KeyId id) const;
  const std::shared_ptr<const Principal>& principal(const Entry& entry) const { return principals_[entry.principal]; }
  KeyRecord record(const Entry& entry) const;
  // Whether `hash` is the key's, of now or of before within its grace.
  bool has_secret(const Entry& entry, const KeyHash& hash, std::uint32_t now_s) const;

  // The writer's. `now_s`: when this happens, for slots that are used again; `replaying`: nobody reads yet.
  void add(const KeyRecord& key, const KeyHash* hash, std::uint32_t now_s, bool replaying);
  void rotate(Entry& entry, const KeyHash& hash, std::uint32_t older_until_s, std::uint32_t now_s, bool replaying);

  std::uint64_t bytes() const;  // the writer's

 private:
  struct Secret {
    std::array<std::atomic<std::uint64_t>, 4> hash{};
    std::atomic<std::uint32_t> until_s{0};  // of one of before
  };
  struct Slots {  // open addressing; index + 1 of an entry, 0: free
    explicit Slots(std::size_t n) : mask(n - 1), of(new std::atomic<std::uint32_t>[n]()) {}
    std::size_t mask;
    std::unique_ptr<std::atomic<std::uint32_t>[]> of;
  };
  std::uint32_t intern(const KeyRecord& key);
  std::uint32_t new_secret(const KeyHash& hash, std::uint32_t now_s, bool replaying);
  const char* keep_name(std::string_view name);
  void put(Slots& slots, KeyId id, Index index);
  void grow();

  StableArray<Entry, 8192> entries_;
  StableArray<Secret, 8192> secrets_;
  StableArray<std::shared_ptr<const Principal>, 2048> principals_;
  std::map<std::string, std::uint32_t, std::less<>> interned_;
  std::deque<std::pair<std::uint32_t, std::uint32_t>> free_secrets_;  // {since, slot}
  std::vector<std::unique_ptr<char[]>> names_;
  std::size_t name_left_ = 0;
  std::uint64_t name_bytes_ = 0;
  std::uint64_t principal_bytes_ = 0;
  std::atomic<Slots*> slots_{nullptr};
  std::vector<std::unique_ptr<Slots>> all_slots_;  // also those that were grown out of: a reader may still be in one
};

std::uint32_t seconds_of(WallTime time);    // rounded up
std::uint32_t seconds_until(WallTime end);  // rounded down: nothing lasts longer than was said

}  // namespace tidemill
