#include "engine/limits/accounts.h"

#include <algorithm>

namespace tidemill::limits {
namespace {

constexpr std::uint32_t kIdleSeconds = 60;
constexpr std::uint32_t kIdleSecondsOfMany = 2;
constexpr std::size_t kForgetAtOnce = 4;  // shards: each is looked through every 16 seconds

// What is handed over of a count, which keeps what was given back too much.
std::uint64_t take(std::int64_t& count) {
  if (count <= 0) return 0;
  return static_cast<std::uint64_t>(std::exchange(count, 0));
}

}  // namespace

Account& Accounts::at(Shard& shard, KeyId key, const std::string& name) {
  const auto [it, made] = shard.accounts.try_emplace(key.value);
  Account& account = it->second;
  if (made) {
    account.tenant = &tenant(name);
    account.used_s = second.load(std::memory_order_relaxed);
    if (Shared limits = defined(key)) {
      account.own = std::make_unique<Account::Own>();
      account.own->limits = std::move(limits);
    }
  }
  return account;
}

Account* Accounts::find(Shard& shard, KeyId key) {
  const auto it = shard.accounts.find(key.value);
  return it == shard.accounts.end() ? nullptr : &it->second;
}

Tenant* Accounts::find_tenant(const std::string& name) const {
  const std::shared_lock lock(tenants_mutex_);
  const auto it = tenants_.find(name);
  return it == tenants_.end() ? nullptr : it->second.get();
}

Tenant& Accounts::tenant(const std::string& name) {
  if (Tenant* found = find_tenant(name)) return *found;
  const std::unique_lock lock(tenants_mutex_);
  auto& slot = tenants_[name];
  if (!slot) slot = std::make_unique<Tenant>(name);
  return *slot;
}

std::vector<Tenant*> Accounts::tenants() const {
  const std::shared_lock lock(tenants_mutex_);
  std::vector<Tenant*> all;
  for (const auto& [name, one] : tenants_) all.push_back(one.get());
  return all;
}

void Accounts::define(KeyId key, Shared limits) {
  {
    const std::unique_lock lock(defined_mutex_);
    if (limits) {
      defined_[key] = limits;
    } else {
      defined_.erase(key);
    }
  }
  // Whoever makes the account after this finds the new limits; one that is there is told.
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const auto it = shard.accounts.find(key.value);
  if (it == shard.accounts.end()) return;
  Account& account = it->second;
  if (!limits && account.own && account.own->meter.connections == 0) {
    account.own.reset();
  } else if (limits || account.own) {
    if (!account.own) account.own = std::make_unique<Account::Own>();
    account.own->limits = limits ? std::move(limits) : std::make_shared<const LimitSet>();
    account.own->meter.limits_changed();
  }
}

void Accounts::define(const std::string& name, Shared limits) {
  Tenant& one = tenant(name);
  const std::lock_guard lock(one.mutex);
  one.limits = std::move(limits);
  one.meter.limits_changed();
  one.has_quota = one.limits && one.limits->has_quota();
  one.limited.store(one.limits != nullptr, std::memory_order_release);
  if (one.limits) any_tenant_ = true;
}

Shared Accounts::defined(KeyId key) const {
  const std::shared_lock lock(defined_mutex_);
  const auto it = defined_.find(key);
  return it == defined_.end() ? nullptr : it->second;
}

std::vector<std::pair<KeyId, Shared>> Accounts::defined(std::optional<KeyId> after, std::size_t most) const {
  const std::shared_lock lock(defined_mutex_);
  std::vector<std::pair<KeyId, Shared>> some;
  for (auto it = after ? defined_.upper_bound(*after) : defined_.begin(); it != defined_.end() && some.size() < most;
       ++it)
    some.push_back(*it);
  return some;
}

std::vector<UsageDelta> Accounts::collect(WallTime now, Which which) {
  const WallTime hour = std::chrono::floor<std::chrono::hours>(now);
  std::vector<UsageDelta> deltas;
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    std::vector<std::uint64_t> later;
    for (const std::uint64_t id : shard.dirty) {
      const auto it = shard.accounts.find(id);
      if (it == shard.accounts.end()) continue;
      Account& account = it->second;
      const bool matters = account.tenant->has_quota || (account.own && account.own->limits->has_quota());
      if ((which == Which::some && !matters) || (which != Which::the_last && account.tenant->reading != 0)) {
        later.push_back(id);
        continue;
      }
      Pending& p = account.pending;
      const UsageCounts counts{take(p.requests), take(p.records), take(p.bytes), take(p.refused)};
      account.dirty = p.requests < 0 || p.records < 0 || p.bytes < 0;
      if (account.dirty) later.push_back(id);
      if (counts.requests == 0 && counts.records == 0 && counts.bytes == 0 && counts.refused == 0) continue;
      deltas.push_back({account.tenant->name, KeyId{id}, hour, counts});
    }
    shard.dirty = std::move(later);
  }
  return deltas;
}

void Accounts::settle(Tenant& tenant, const std::function<void(const Pending&)>& each,
                      const std::function<void()>& then) {
  // A request holds the lock of one shard and then its tenant's: who has all of them stands between two requests.
  std::array<std::unique_lock<std::mutex>, kShards> locks;
  for (std::size_t i = 0; i < kShards; ++i) locks[i] = std::unique_lock(shards_[i].mutex);
  const std::lock_guard lock(tenant.mutex);
  for (Shard& shard : shards_) {
    for (const std::uint64_t id : shard.dirty) {
      const Account* account = find(shard, KeyId{id});
      if (account != nullptr && account->tenant == &tenant) each(account->pending);
    }
  }
  then();
}

void Accounts::forget(const Moment& now) {
  const std::uint32_t s = second.load(std::memory_order_relaxed);
  const bool many = size() > kMany;
  const std::uint32_t idle = many ? kIdleSecondsOfMany : kIdleSeconds;
  for (std::size_t n = many ? kShards : kForgetAtOnce; n > 0; --n) {
    Shard& shard = shards_[next_forgotten_++ % kShards];
    const std::lock_guard lock(shard.mutex);
    for (auto it = shard.accounts.begin(); it != shard.accounts.end();) {
      Account& account = it->second;
      const bool gone = !account.dirty && s - account.used_s >= idle &&
                        (!account.own || account.own->meter.blank(*account.own->limits, now));
      it = gone ? shard.accounts.erase(it) : std::next(it);
    }
  }
}

std::size_t Accounts::size() const {
  std::size_t n = 0;
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    n += shard.accounts.size();
  }
  return n;
}

}  // namespace tidemill::limits
