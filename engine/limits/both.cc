#include "engine/limits/limiter_impl.h"

namespace tidemill::limits {

Both::Both(Accounts& accounts, const std::optional<KeyId>& key, const std::string& tenant) : accounts_(accounts) {
  if (key) {
    key_ = *key;
    shard_ = &accounts.shard_of(*key);
    shard_lock_ = std::unique_lock(shard_->mutex);
    account_ = &accounts.at(*shard_, *key, tenant);
    tenant_ = account_->tenant;
  } else if (accounts.any_tenant()) {
    // Who has limits is known: nobody is remembered for having been asked about.
    tenant_ = accounts.find_tenant(tenant);
  }
  if (tenant_ == nullptr || !tenant_->limited.load(std::memory_order_acquire)) return;
  tenant_lock_ = std::unique_lock(tenant_->mutex);
  of_tenant_ = tenant_->limits.get();
}

std::optional<Refusal> Both::refuses(const Moment& now, const Amounts& amounts) {
  std::optional<Refusal> found;
  if (auto* mine = own()) found = mine->meter.refuses(*mine->limits, now, amounts);
  if (of_tenant_ == nullptr) return found;
  auto theirs = tenant_->meter.refuses(*of_tenant_, now, amounts);
  if (!theirs || (found && found->retry_after >= theirs->retry_after)) return found;
  theirs->of_tenant = true;
  return theirs;
}

void Both::take(const Moment& now, const Amounts& amounts) {
  if (auto* mine = own()) mine->meter.take(*mine->limits, now, amounts);
  if (of_tenant_ != nullptr) tenant_->meter.take(*of_tenant_, now, amounts);
}

void Both::spend(const Moment& now, const Amounts& amounts) {
  if (auto* mine = own()) mine->meter.spend(*mine->limits, now, amounts);
  if (of_tenant_ != nullptr) tenant_->meter.spend(*of_tenant_, now, amounts);
}

void Both::give_back(const Amounts& amounts, MonotonicTime taken) {
  if (auto* mine = own()) mine->meter.give_back(*mine->limits, amounts, taken);
  if (of_tenant_ != nullptr) tenant_->meter.give_back(*of_tenant_, amounts, taken);
}

void Both::give_back_quota(const Amounts& amounts, MonotonicTime taken) {
  if (auto* mine = own()) mine->meter.give_back_quota(amounts, taken);
  if (of_tenant_ != nullptr) tenant_->meter.give_back_quota(amounts, taken);
}

void Both::standings(const Moment& now, std::vector<Standing>& out) {
  out.clear();
  if (auto* mine = own()) mine->meter.standings(*mine->limits, now, [&](const Standing& one) { out.push_back(one); });
  if (of_tenant_ == nullptr) return;
  tenant_->meter.standings(*of_tenant_, now, [&](Standing one) {
    one.of_tenant = true;
    out.push_back(one);
  });
}

void Both::count(std::int64_t requests, const Amounts& amounts, std::int64_t sign, std::int64_t refused) {
  if (account_ == nullptr) return;
  Pending& p = account_->pending;
  p.requests += requests;
  p.records += sign * static_cast<std::int64_t>(amounts[Measure::records]);
  p.bytes += sign * static_cast<std::int64_t>(amounts[Measure::bytes]);
  p.refused += refused;
  accounts_.changed(*shard_, key_, *account_);
}

void Both::count_refused(const Refusal& refusal, std::optional<MonotonicTime> admitted) {
  if (tenant_ != nullptr) ++tenant_->refused[static_cast<std::size_t>(refusal.kind)];
  count(admitted ? -1 : 0, {}, 0, 1);
  if (!admitted) return;
  Amounts one;
  one[Measure::requests] = 1;
  give_back_quota(one, *admitted);
}

}  // namespace tidemill::limits
