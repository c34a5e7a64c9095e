#include "engine/limits/limiter.h"

#include <set>

#include "engine/limits/limiter_impl.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"

namespace tidemill {
namespace limits {
namespace {

Amounts one_request() {
  Amounts amounts;
  amounts[Measure::requests] = 1;
  return amounts;
}

// A connection that counts for a key, a tenant, or both. The limiter outlives it.
class Connection {
 public:
  Connection(Accounts& accounts, const std::optional<KeyId>& key, std::string tenant)
      : accounts_(accounts), key_(key), tenant_(std::move(tenant)) {}
  ~Connection() {
    if (!of_key_ && !of_tenant_) return;
    if (of_key_) {
      Both both(accounts_, key_, tenant_);
      if (both.own()) --both.own()->meter.connections;
    }
    if (of_tenant_) {
      Tenant& tenant = accounts_.tenant(tenant_);
      const std::lock_guard lock(tenant.mutex);
      --tenant.meter.connections;
    }
  }
  bool is_of(const std::optional<KeyId>& key, const std::string& tenant) const {
    return key == key_ && tenant == tenant_;
  }
  // Counts for what has a limit and it does not count for yet.
  std::optional<Refusal> count(Both& both) {
    const bool for_key = !of_key_ && both.of_key() && both.of_key()->connections;
    const bool for_tenant = !of_tenant_ && both.of_tenant() && both.of_tenant()->connections;
    const auto full = [](const Meter& meter, std::uint64_t most, bool of_tenant) -> std::optional<Refusal> {
      if (meter.connections < most) return std::nullopt;
      return Refusal{LimitKind::connections, Measure::requests, of_tenant, most, 1, {}};
    };
    if (for_key)
      if (auto refusal = full(both.own()->meter, *both.of_key()->connections, false)) return refusal;
    if (for_tenant)
      if (auto refusal = full(both.tenant()->meter, *both.of_tenant()->connections, true)) return refusal;
    if (for_key) ++both.own()->meter.connections;
    if (for_tenant) ++both.tenant()->meter.connections;
    of_key_ |= for_key;
    of_tenant_ |= for_tenant;
    return std::nullopt;
  }

 private:
  Accounts& accounts_;
  const std::optional<KeyId> key_;
  const std::string tenant_;
  bool of_key_ = false;
  bool of_tenant_ = false;
};

class LimiterImpl final : public Limiter {
 public:
  explicit LimiterImpl(std::shared_ptr<Core> core) : core_(std::move(core)), accounts_(core_->accounts) {}
  ~LimiterImpl() override { close(); }

  Admitted admit(const std::optional<KeyId>& key, const std::string& tenant,
                 std::vector<Standing>* standings) override {
    Both both(accounts_, key, tenant);
    Admitted admitted;
    if (!both.limited()) {
      both.count(1, {}, 0);
      return admitted;
    }
    admitted.connections =
        (both.of_key() && both.of_key()->connections) || (both.of_tenant() && both.of_tenant()->connections);
    const Moment now = core_->now();
    admitted.limited = now.monotonic;
    admitted.refused = both.refuses(now, one_request());
    if (admitted.refused) {
      both.count_refused(*admitted.refused, std::nullopt);
    } else {
      both.take(now, one_request());
      both.count(1, {}, 0);
    }
    if (standings != nullptr) both.standings(now, *standings);
    return admitted;
  }

  std::optional<Refusal> foresee(const std::optional<KeyId>& key, const std::string& tenant, const Amounts& amounts,
                                 MonotonicTime admitted) override {
    Both both(accounts_, key, tenant);
    return refuse(both, core_->now(), amounts, admitted);
  }

  std::optional<Refusal> charge(const std::optional<KeyId>& key, const std::string& tenant, const Amounts& amounts,
                                MonotonicTime admitted, std::vector<Standing>* standings) override {
    Both both(accounts_, key, tenant);
    std::optional<Refusal> refusal;
    if (both.limited()) {
      const Moment now = core_->now();
      refusal = refuse(both, now, amounts, admitted);
      if (!refusal) both.take(now, amounts);
      if (standings != nullptr) both.standings(now, *standings);
    }
    if (!refusal) both.count(0, amounts, 1);
    return refusal;
  }

  void give_back(const std::optional<KeyId>& key, const std::string& tenant, const Amounts& amounts,
                 MonotonicTime charged) override {
    Both both(accounts_, key, tenant);
    both.give_back(amounts, charged);
    both.count(0, amounts, -1);
  }

  void replayed(const std::optional<KeyId>& key, const std::string& tenant, const Amounts& amounts,
                MonotonicTime charged) override {
    Both both(accounts_, key, tenant);
    both.give_back_quota(amounts, charged);
    both.count(0, amounts, -1);
  }

  void spend(const std::optional<KeyId>& key, const std::string& tenant, const Amounts& amounts) override {
    Both both(accounts_, key, tenant);
    both.spend(core_->now(), amounts);
  }

  std::optional<Refusal> hold(const std::optional<KeyId>& key, const std::string& tenant, std::shared_ptr<void>& held,
                              MonotonicTime admitted) override {
    auto* connection = static_cast<Connection*>(held.get());
    std::shared_ptr<Connection> fresh;
    if (connection == nullptr || !connection->is_of(key, tenant)) {
      held.reset();  // it does not count for its last key any more
      fresh = std::make_shared<Connection>(accounts_, key, tenant);
      connection = fresh.get();
    }
    {
      Both both(accounts_, key, tenant);
      if (auto refusal = connection->count(both)) {
        both.count_refused(*refusal, admitted);
        return refusal;
      }
    }
    if (fresh) held = std::move(fresh);
    return std::nullopt;
  }

  std::optional<Refusal> change(const std::optional<KeyId>& key, const std::string& tenant,
                                MonotonicTime admitted) override {
    const std::uint64_t most = core_->changes_per_hour();
    if (most == 0) return std::nullopt;
    // An hour's changes at once, each of which comes back by itself: `most` tokens a second, 3,600 for one.
    constexpr std::uint64_t kOne = 3'600;
    const Rate rate{most, most * kOne};
    const Moment now = core_->now();
    Tenant& theirs = accounts_.tenant(tenant);
    TokenBucket::Wait wait;
    {
      const std::lock_guard lock(theirs.mutex);
      wait = theirs.changes.wait(rate, now.monotonic, kOne);
      if (wait == TokenBucket::Wait(0)) {
        theirs.changes.take(rate, now.monotonic, kOne);
        return std::nullopt;
      }
    }
    const Refusal refusal{LimitKind::changes, Measure::requests, true, most, 1, wait};
    Both both(accounts_, key, tenant);
    both.count_refused(refusal, admitted);
    return refusal;
  }

  void standings(const std::optional<KeyId>& key, const std::string& tenant, std::vector<Standing>& out) override {
    Both both(accounts_, key, tenant);
    both.standings(core_->now(), out);
  }

  std::unique_lock<std::mutex> creating() override { return std::unique_lock(creating_); }
  std::optional<Refusal> new_stream(const std::string& tenant, std::uint64_t there) override {
    Tenant* found = accounts_.find_tenant(tenant);
    if (found == nullptr) return std::nullopt;
    const std::lock_guard lock(found->mutex);
    if (!found->limits || !found->limits->streams || there < *found->limits->streams) return std::nullopt;
    ++found->refused[static_cast<std::size_t>(LimitKind::streams)];
    return Refusal{LimitKind::streams, Measure::requests, true, *found->limits->streams, 1, {}};
  }

  Result<void> set(const LimitOwner& owner, const LimitSet& limits, std::optional<KeyId> by) override {
    // An event is kept for ever: none for what is so already. Of two who change it at once either may be the later.
    if (const Shared there = find(owner); there && *there == limits) return {};
    // A quota reads the month's usage. One of a tenant's keys at a time: its admin, who sets them again and again,
    // keeps one worker busy, and not all of them. The tenant's own is the operator's, whom nobody may keep from it.
    const Reading reading(*this, owner.key && limits.has_quota() ? owner.tenant : std::string());
    if (reading.busy) return StorageErrc::throttled;
    if (limits.has_quota()) core_->write_usage();  // what was used today must be in the log, which alone knows it
    RETURN_IF_ERROR(core_->system().append("limits.set", encode(LimitsSet{owner, limits, by})));
    core_->measure_disks();
    if (!limits.has_quota()) return {};
    if (const auto read = core_->read_back(&owner); !read)
      core_->env().logger.warning("the usage cannot be read in full: a quota that was set now counts what could be",
                                  {{"cause", read.error().message()}});
    return {};
  }
  Result<void> remove(const LimitOwner& owner, std::optional<KeyId> by) override {
    if (!find(owner)) return {};
    RETURN_IF_ERROR(core_->system().append("limits.removed", encode(LimitsRemoved{owner, by})));
    return {};
  }

  Shared find(const LimitOwner& owner) const override {
    if (owner.key) return accounts_.defined(*owner.key);
    Tenant* tenant = accounts_.find_tenant(owner.tenant);
    if (tenant == nullptr) return nullptr;
    const std::lock_guard lock(tenant->mutex);
    return tenant->limits;
  }
  std::vector<std::pair<KeyId, Shared>> keys(std::optional<KeyId> after, std::size_t most) const override {
    return accounts_.defined(after, most);
  }
  std::vector<std::pair<std::string, Shared>> tenants() const override {
    std::vector<std::pair<std::string, Shared>> all;
    for (Tenant* tenant : accounts_.tenants()) {
      const std::lock_guard lock(tenant->mutex);
      if (tenant->limits) all.emplace_back(tenant->name, tenant->limits);
    }
    return all;
  }

  Used used(const LimitOwner& owner) override {
    Used used;
    if (owner.key) {
      Shard& shard = accounts_.shard_of(*owner.key);
      const std::lock_guard lock(shard.mutex);
      const auto it = shard.accounts.find(owner.key->value);
      if (it != shard.accounts.end() && it->second.own) used.connections = it->second.own->meter.connections;
    } else if (Tenant* tenant = accounts_.find_tenant(owner.tenant)) {
      const std::lock_guard lock(tenant->mutex);
      used.connections = tenant->meter.connections;
      used.disk_bytes = tenant->disk_bytes;
    }
    return used;
  }

  std::vector<Refused> refused() const override {
    std::vector<Refused> all;
    for (const Tenant* tenant : accounts_.tenants()) {
      Refused one{tenant->name, {}};
      for (std::size_t i = 0; i < kLimitKinds; ++i) one.of[i] = tenant->refused[i].load();
      all.push_back(std::move(one));
    }
    return all;
  }
  std::size_t accounts() const override { return accounts_.size(); }
  void write_usage() override { core_->write_usage(); }
  void close() override { core_->close(); }

 private:
  // While it lives nobody else sets a quota of a key of this tenant. No tenant: nobody is kept from it.
  struct Reading {
    Reading(LimiterImpl& of, const std::string& wanted) : limiter(of), tenant(wanted) {
      const std::lock_guard lock(limiter.reading_mutex_);
      busy = !tenant.empty() && !limiter.reading_.insert(tenant).second;
    }
    ~Reading() {
      const std::lock_guard lock(limiter.reading_mutex_);
      if (!busy) limiter.reading_.erase(tenant);
    }
    LimiterImpl& limiter;
    const std::string tenant;
    bool busy = false;
  };

  static std::optional<Refusal> refuse(Both& both, const Moment& now, const Amounts& amounts, MonotonicTime admitted) {
    auto refusal = both.refuses(now, amounts);
    // The disk was full before the records are counted; a disk has no time at which it would do.
    if (const LimitSet* limits = both.of_tenant();
        limits && limits->disk_bytes && both.tenant()->disk_bytes.load() >= *limits->disk_bytes)
      refusal = Refusal{LimitKind::disk, Measure::bytes, true, *limits->disk_bytes, amounts[Measure::bytes], {}};
    if (refusal) both.count_refused(*refusal, admitted);
    return refusal;
  }

  const std::shared_ptr<Core> core_;
  Accounts& accounts_;
  std::mutex creating_;
  std::mutex reading_mutex_;
  std::set<std::string> reading_;  // tenants
};

}  // namespace
}  // namespace limits

Result<std::unique_ptr<Limiter>> Limiter::open(Env& env, SystemStream& system, const Options& options) {
  const auto core = std::make_shared<limits::Core>(env, system, options);
  RETURN_IF_ERROR(core->start());
  return std::unique_ptr<Limiter>(std::make_unique<limits::LimiterImpl>(core));
}

}  // namespace tidemill
