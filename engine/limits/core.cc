#include <algorithm>
#include <map>

#include "engine/limits/limiter_impl.h"
#include "engine/qualified_name.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/seam/executor.h"

namespace tidemill::limits {
namespace {

constexpr std::chrono::seconds kTick{1};
// What is noted costs a commit for each tenant. Where a quota depends on it that is worth it every second.
constexpr std::uint32_t kSecondsOfUnlimited = 10;

Amounts amounts_of(const UsageCounts& counts) {
  Amounts a;
  a[Measure::requests] = counts.requests;
  a[Measure::records] = counts.records;
  a[Measure::bytes] = counts.bytes;
  return a;
}

struct Sums {
  Amounts day, month;
  void add(const Moment& now, const UsageDelta& delta) {
    const Amounts amounts = amounts_of(delta.counts);
    const auto add_to = [&](Amounts& sum, Period period) {
      // What was noted under a clock that was ahead counts now: else setting it back would give a second quota. Far
      // ahead it does not, or a wrong clock would shut somebody out for long.
      const std::int64_t ahead = period_of(period, delta.hour) - period_of(period, now.wall);
      if (ahead != 0 && ahead != 1) return;
      for (const Measure m : kAllMeasures) sum[m] += amounts[m];
    };
    add_to(day, Period::day);
    add_to(month, Period::month);
  }
  // What was used and is not in the log yet.
  void add(const Pending& pending) {
    for (Amounts* sum : {&day, &month}) {
      add(*sum, Measure::requests, pending.requests);
      add(*sum, Measure::records, pending.records);
      add(*sum, Measure::bytes, pending.bytes);
    }
  }
  // `began`: when the log was read. A period that has begun since has been counted from its first request on.
  void give(Meter& meter, const Moment& began, const Moment& now) const {
    for (const Period period : {Period::day, Period::month})
      if (period_of(period, began.wall) == period_of(period, now.wall))
        meter.at_least(now, period, period == Period::day ? day : month);
  }

 private:
  static void add(Amounts& sum, Measure m, std::int64_t more) {
    const auto n = static_cast<std::uint64_t>(more < 0 ? -more : more);
    sum[m] = more < 0 ? sum[m] - std::min(sum[m], n) : sum[m] + n;
  }
};

// While it lives the tenant, if there is one, hands nothing over.
struct Reading {
  explicit Reading(Tenant* of) : tenant(of) {
    if (tenant) ++tenant->reading;
  }
  ~Reading() {
    if (tenant) --tenant->reading;
  }
  Reading(const Reading&) = delete;
  Tenant* const tenant;
};

}  // namespace

Result<void> Core::start() {
  RETURN_IF_ERROR(system_.fold("limits.", [self = shared_from_this()](const auto& event) { self->fold(event); }));
  if (unreadable_) return StorageErrc::damaged;
  if (const auto read = read_back(nullptr); !read)
    env_.logger.error("the usage cannot be read in full: quotas of this day and month count what could be",
                      {{"cause", read.error().message()}});
  accounts.tenant(std::string(kDefaultTenant));  // its metrics are there from the start
  measure_disks();
  later();
  return {};
}

void Core::fold(const SystemStream::Event& event) {
  if (apply(event)) return;
  unreadable_ = true;
  env_.logger.error(
      "the system stream holds an event about limits that this version cannot read; start a later version",
      {{"event", std::string(event.type)}, {"sequence", std::to_string(event.sequence.value())}});
}

bool Core::apply(const SystemStream::Event& event) {
  const auto define = [this](const LimitOwner& owner, Shared limits) {
    owner.key ? accounts.define(*owner.key, std::move(limits)) : accounts.define(owner.tenant, std::move(limits));
  };
  if (event.type == "limits.set") {
    const auto set = decode_limits_set(event.json);
    if (set) define(set->owner, std::make_shared<const LimitSet>(set->limits));
    return set.has_value();
  }
  if (event.type != "limits.removed") return false;
  const auto removed = decode_limits_removed(event.json);
  if (removed) define(removed->owner, nullptr);
  return removed.has_value();
}

Result<void> Core::read_back(const LimitOwner* only) {
  if (options_.usage == nullptr) return {};
  std::map<KeyId, Sums> keys;
  std::map<std::string, Sums, std::less<>> tenants;
  if (only == nullptr) {
    for (const auto& [key, limits] : accounts.defined(std::nullopt, ~std::size_t{0}))
      if (limits->has_quota()) keys[key];
    for (Tenant* tenant : accounts.tenants()) {
      const std::lock_guard lock(tenant->mutex);
      if (tenant->limits && tenant->limits->has_quota()) tenants[tenant->name];
    }
  } else if (only->key) {
    keys[*only->key];
  } else {
    tenants[only->tenant];
  }
  if (keys.empty() && tenants.empty()) return {};

  Result<void> result;
  const Moment began = now();
  const WallTime month = beginning_of(Period::month, period_of(Period::month, began.wall));
  std::map<KeyId, std::string> of;  // whose the keys are: an account is made with its tenant
  // Nothing of the tenant is noted while its log is read: all that it has used is what the log says by now, and what
  // it has not handed over when that is read.
  std::optional<Reading> reading;
  {
    const std::lock_guard lock(writing_);
    if (closed_) return {};
    if (only != nullptr) reading.emplace(tenant_of(*only));
  }
  // Not under the lock: a month of a tenant that is used much takes its time, and others' use is noted meanwhile.
  // Where some of it is damaged the rest counts all the same.
  result = options_.usage->read(month, only ? only->tenant : std::string(), [&](const UsageDelta& delta) {
    if (const auto key = keys.find(delta.key); key != keys.end()) {
      key->second.add(began, delta);
      of[delta.key] = delta.tenant;
    }
    if (const auto tenant = tenants.find(delta.tenant); tenant != tenants.end()) tenant->second.add(began, delta);
  });
  for (auto& [key, sums] : keys) {
    Shard& shard = accounts.shard_of(key);
    const std::lock_guard lock(shard.mutex);
    const auto tenant = of.find(key);
    Account* account = tenant != of.end() ? &accounts.at(shard, key, tenant->second) : Accounts::find(shard, key);
    if (account == nullptr || !account->own) continue;
    sums.add(account->pending);
    sums.give(account->own->meter, began, now());
  }
  for (auto& one : tenants) {
    Tenant& tenant = accounts.tenant(one.first);
    Sums& sums = one.second;
    const auto give = [&] { sums.give(tenant.meter, began, now()); };
    accounts.settle(
        tenant, [&](const Pending& pending) { sums.add(pending); }, give);
  }
  return result;
}

Tenant* Core::tenant_of(const LimitOwner& owner) {
  if (!owner.tenant.empty()) return &accounts.tenant(owner.tenant);
  if (!owner.key) return nullptr;
  Shard& shard = accounts.shard_of(*owner.key);
  const std::lock_guard lock(shard.mutex);
  const Account* account = Accounts::find(shard, *owner.key);
  return account ? account->tenant : nullptr;
}

void Core::write_usage(Accounts::Which which) {
  const std::lock_guard lock(writing_);
  if (closed_) return;
  const auto deltas = accounts.collect(env_.clock.wall(), which);
  if (deltas.empty() || options_.usage == nullptr) return;
  if (const auto written = options_.usage->append(deltas); !written)
    env_.logger.warning("what keys used in the last second may be missing in the usage, and in quotas after a restart",
                        {{"keys", std::to_string(deltas.size())}, {"cause", written.error().message()}});
}

void Core::close() {
  write_usage(Accounts::Which::the_last);
  const std::lock_guard lock(writing_);
  closed_ = true;
}

void Core::later() {
  options_.writer.post_after(kTick, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->tick();
  });
}

void Core::tick() {
  {
    const std::lock_guard lock(writing_);
    if (closed_) return;
  }
  ++accounts.second;
  const bool all = accounts.second % kSecondsOfUnlimited == 0 || accounts.size() > Accounts::kMany;
  write_usage(all ? Accounts::Which::all : Accounts::Which::some);
  accounts.forget(now());
  measure_disks();
  later();
}

void Core::measure_disks() {
  if (!options_.disk_bytes) return;
  for (Tenant* tenant : accounts.tenants()) {
    {
      const std::lock_guard lock(tenant->mutex);
      if (!tenant->limits || !tenant->limits->disk_bytes) continue;
    }
    tenant->disk_bytes = options_.disk_bytes(tenant->name);
  }
}

}  // namespace tidemill::limits
