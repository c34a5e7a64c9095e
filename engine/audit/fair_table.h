#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace tidemill {

// A table of bounded size in which each tenant has its share, whatever the others put in. While there is room anybody
// may add; once it is full, who has less than an equal share may add all the same, and one who has more gives an entry
// up for it. The tenant with the empty name is one like the others: of requests that have none. The caller locks.
template <class Key, class Value, class Less = std::less<>>
class FairTable {
 public:
  using Entries = std::map<Key, Value, Less>;
  using ByTenant = std::map<std::string, Entries, std::less<>>;

  // `most` entries in all, `of_one` of a tenant.
  FairTable(std::size_t most, std::size_t of_one) : most_(most), of_one_(of_one) {}

  template <class K>
  Value* find(std::string_view tenant, const K& key) {
    const auto own = tenants_.find(tenant);
    if (own == tenants_.end()) return nullptr;
    const auto it = own->second.find(key);
    return it == own->second.end() ? nullptr : &it->second;
  }
  // Whether the tenant may add one. `gone(tenant, key, value)` is called with what was given up for it.
  template <class Gone>
  bool room(std::string_view tenant, Gone gone) {
    const auto own = tenants_.find(tenant);
    const std::size_t has = own == tenants_.end() ? 0 : own->second.size();
    if (has >= of_one_) return false;
    if (size_ < most_) return true;
    const std::size_t share = most_ / (tenants_.size() + (has == 0 ? 1 : 0));
    if (has >= share) return false;
    // All have more than `most - share` together, without this one: so one of them has more than a share.
    for (auto& [name, entries] : tenants_) {
      if (entries.size() <= share) continue;
      auto last = entries.extract(std::prev(entries.end()));
      --size_;
      gone(name, last.key(), last.mapped());
      return true;
    }
    return false;
  }
  // After room(), for a key that is not there.
  Value& add(std::string_view tenant, Key key) {
    auto own = tenants_.find(tenant);
    if (own == tenants_.end()) own = tenants_.try_emplace(std::string(tenant)).first;
    ++size_;
    return own->second[std::move(key)];
  }
  bool empty() const { return size_ == 0; }
  ByTenant& tenants() { return tenants_; }  // to look at and change the values
  ByTenant take() {
    size_ = 0;
    return std::exchange(tenants_, {});
  }

 private:
  const std::size_t most_;
  const std::size_t of_one_;
  std::size_t size_ = 0;
  ByTenant tenants_;  // none of them empty
};

}  // namespace tidemill
