#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/keys/key_table.h"
#include "engine/keys/keys.h"
#include "engine/keys/stable_array.h"

namespace tidemill {

// Which client certificate stands for which key: some 150 bytes for each certificate that was ever bound. One writer at
// a time (the fold of the system stream); key_of() on any thread, without a lock and without waiting.
//
// A certificate that is not bound any more is remembered with the key that had it last, for that key's tenant alone may
// bind it again: a client that goes on showing it must not become somebody else's.
class CertificateTable {
 public:
  using KeyIndex = KeyTable::Index;

  // The key that it stands for now.
  std::optional<KeyIndex> key_of(const KeyHash& sha256) const;
  // The key that has it or had it last.
  std::optional<KeyIndex> last_key_of(const KeyHash& sha256) const;
  // Those of a key, the oldest binding first. Takes a lock, for as long as it takes to copy them.
  std::vector<KeyCertificate> of(KeyIndex key) const;
  std::size_t count_of(KeyIndex key) const;
  bool full() const { return entries_.full(); }

  // The writer's. bind(): not while it stands for another key. unbind(): false where the key does not have it.
  void bind(KeyIndex key, const KeyCertificate& certificate);
  bool unbind(KeyIndex key, const KeyHash& sha256);
  std::uint64_t bytes() const;

 private:
  struct Entry {
    KeyHash sha256{};
    std::string subject;
    std::uint32_t expires_s = 0;
    std::atomic<std::uint32_t> key{KeyTable::kNone};
    std::atomic<std::uint32_t> last{KeyTable::kNone};
  };
  struct Slots {  // open addressing; index + 1 of an entry, 0: free
    explicit Slots(std::size_t n) : mask(n - 1), of(new std::atomic<std::uint32_t>[n]()) {}
    std::size_t mask;
    std::unique_ptr<std::atomic<std::uint32_t>[]> of;
  };
  struct Binding {
    std::uint32_t entry;
    WallTime since;
  };
  Entry* find(const KeyHash& sha256) const;
  std::uint32_t index_of(const KeyHash& sha256) const;
  std::uint32_t add(const KeyCertificate& certificate);
  static void put(Slots& slots, const KeyHash& sha256, std::uint32_t index);

  StableArray<Entry, 1024> entries_;
  std::atomic<Slots*> slots_{nullptr};
  std::vector<std::unique_ptr<Slots>> all_slots_;  // also those that were grown out of: a reader may still be in one
  mutable std::mutex mutex_;                       // of what follows: for lists, not for key_of()
  std::map<KeyIndex, std::vector<Binding>> of_key_;
};

}  // namespace tidemill
