#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace tidemill {

// Of something that there is a limited number of: how many of it all tenants hold, and each. No tenant can take all.
// Any thread; held by shared_ptr, for what is held keeps it.
class TenantShares : public std::enable_shared_from_this<TenantShares> {
 public:
  TenantShares(std::size_t of_all, std::size_t of_one) : of_all_(of_all), of_one_(of_one) {}
  // One, until what is returned goes. nullptr: all are taken, or all that the tenant may have.
  std::shared_ptr<void> take(const std::string& tenant);

 private:
  void give_back(const std::string& tenant);

  const std::size_t of_all_;
  const std::size_t of_one_;
  std::mutex mutex_;
  std::size_t taken_ = 0;
  std::map<std::string, std::size_t> by_tenant_;  // of those that have some
};

}  // namespace tidemill
