#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/keys/key_text.h"
#include "engine/limits/limit_set.h"
#include "engine/limits/meter.h"
#include "engine/limits/token_bucket.h"
#include "engine/usage/usage_log.h"

// Behind Limiter only: what is remembered of keys and tenants that were used.
namespace tidemill::limits {

using Shared = std::shared_ptr<const LimitSet>;

// Lives as long as the limiter: accounts point at it.
struct Tenant {
  explicit Tenant(std::string n) : name(std::move(n)) {}
  const std::string name;
  std::atomic<bool> limited{false};  // so that who has no limits need not lock
  std::atomic<bool> has_quota{false};
  std::atomic<std::uint32_t> reading{0};  // its usage is read for a quota: what comes meanwhile is handed over after it
  std::atomic<std::uint64_t> disk_bytes{0};
  std::array<std::atomic<std::uint64_t>, kLimitKinds> refused{};

  std::mutex mutex;  // for what follows; taken after a shard's
  Shared limits;
  Meter meter;
  TokenBucket changes;  // of definitions, in seconds of an hour for each
};

// What a key used since that was last handed over. Negative: something was given back afterwards.
struct Pending {
  std::int64_t requests = 0, records = 0, bytes = 0, refused = 0;
};

struct Account {
  struct Own {
    Shared limits;
    Meter meter;
  };
  Tenant* tenant = nullptr;
  Pending pending;
  std::uint32_t used_s = 0;  // the limiter's second
  bool dirty = false;        // in its shard's list, where all are that have something pending
  std::unique_ptr<Own> own;  // where the key has limits
};

struct Shard {
  std::mutex mutex;
  std::unordered_map<std::uint64_t, Account> accounts;  // by id, which is random
  std::vector<std::uint64_t> dirty;
};

class Accounts {
 public:
  static constexpr std::size_t kShards = 32;
  static constexpr std::size_t kMany = 100'000;  // above it, who is idle is forgotten soon

  Shard& shard_of(KeyId key) { return shards_[(key.value * 0x9e3779b97f4a7c15ull) >> 59]; }
  // Under the shard's lock. An account that is not there is made.
  Account& at(Shard& shard, KeyId key, const std::string& tenant);
  static Account* find(Shard& shard, KeyId key);
  Tenant& tenant(const std::string& name);
  Tenant* find_tenant(const std::string& name) const;
  std::vector<Tenant*> tenants() const;

  // Definitions. At run time the fold calls them, one at a time.
  void define(KeyId key, Shared limits);
  void define(const std::string& tenant, Shared limits);
  Shared defined(KeyId key) const;
  std::vector<std::pair<KeyId, Shared>> defined(std::optional<KeyId> after, std::size_t most) const;
  bool any_tenant() const { return any_tenant_.load(std::memory_order_relaxed); }

  void changed(Shard& shard, KeyId key, Account& account) {
    account.used_s = second.load(std::memory_order_relaxed);
    if (account.dirty) return;
    account.dirty = true;
    shard.dirty.push_back(key.value);
  }
  // What was counted, and from now on counts as handed over; `some`: of keys that have a quota, or whose tenant has.
  // Of tenants whose usage is read nothing but at the end.
  enum class Which { some, all, the_last };
  std::vector<UsageDelta> collect(WallTime now, Which which);
  // Calls `each` with what the keys of a tenant have not handed over, then `then`; meanwhile nobody uses anything.
  void settle(Tenant& tenant, const std::function<void(const Pending&)>& each, const std::function<void()>& then);
  // Lets go of keys that were not used for a while and of which nothing need be remembered. A part at each call.
  void forget(const Moment& now);
  std::size_t size() const;

  std::atomic<std::uint32_t> second{0};  // goes on by one a second

 private:
  mutable std::array<Shard, kShards> shards_;
  mutable std::shared_mutex tenants_mutex_;
  std::map<std::string, std::unique_ptr<Tenant>, std::less<>> tenants_;
  std::atomic<bool> any_tenant_{false};
  mutable std::shared_mutex defined_mutex_;  // taken after a shard's
  std::map<KeyId, Shared> defined_;
  std::size_t next_forgotten_ = 0;
};

}  // namespace tidemill::limits
