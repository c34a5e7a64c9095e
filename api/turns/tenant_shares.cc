#include "api/turns/tenant_shares.h"

namespace tidemill {

std::shared_ptr<void> TenantShares::take(const std::string& tenant) {
  {
    const std::lock_guard lock(mutex_);
    if (taken_ >= of_all_) return nullptr;
    const auto its = by_tenant_.find(tenant);
    if (its != by_tenant_.end() && its->second >= of_one_) return nullptr;
    ++taken_;
    ++by_tenant_[tenant];
  }
  return std::shared_ptr<void>(this, [self = shared_from_this(), tenant](void*) { self->give_back(tenant); });
}

void TenantShares::give_back(const std::string& tenant) {
  const std::lock_guard lock(mutex_);
  --taken_;
  const auto its = by_tenant_.find(tenant);
  if (--its->second == 0) by_tenant_.erase(its);
}

}  // namespace tidemill
