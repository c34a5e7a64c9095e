#include "storage/log/request_budget.h"

#include <algorithm>

#include "storage/base/check.h"

namespace tidemill {

std::unique_ptr<RequestBudget::Account> RequestBudget::open(std::string name, std::function<void()> give_way) {
  std::unique_ptr<Account> account(new Account(*this, std::move(name), std::move(give_way)));
  const std::lock_guard lock(mutex_);
  accounts_.push_back(account.get());
  return account;
}

RequestBudget::Account::~Account() {
  const std::lock_guard lock(budget_.mutex_);
  budget_.bytes_ -= bytes_;
  budget_.accounts_.remove(this);
}

RequestBudget::Account* RequestBudget::largest() const {
  const auto found = std::max_element(accounts_.begin(), accounts_.end(),
                                      [](const Account* a, const Account* b) { return a->bytes_ < b->bytes_; });
  return found == accounts_.end() ? nullptr : *found;
}

void RequestBudget::tell(Account* account) {
  if (account == nullptr || account->told_) return;
  account->told_ = true;
  account->give_way_();
}

bool RequestBudget::Account::take(std::uint64_t more) {
  const std::lock_guard lock(budget_.mutex_);
  if (budget_.bytes_ + more <= budget_.bytes_max_) {
    budget_.bytes_ += more;
    bytes_ += more;
    return true;
  }
  // Not for the sake of one that would be the largest itself then: the two would go on taking from each other.
  Account* const most = budget_.largest();
  if (most != this && most->bytes_ - most->bytes_ / 8 >= bytes_ + more) budget_.tell(most);
  return false;
}

void RequestBudget::Account::take_anyway(std::uint64_t more) {
  const std::lock_guard lock(budget_.mutex_);
  budget_.bytes_ += more;
  bytes_ += more;
  if (budget_.bytes_ > budget_.bytes_max_) budget_.tell(budget_.largest());
}

void RequestBudget::Account::give_back(std::uint64_t bytes) {
  const std::lock_guard lock(budget_.mutex_);
  CHECK(bytes <= bytes_);
  budget_.bytes_ -= bytes;
  bytes_ -= bytes;
}

void RequestBudget::Account::gave_way() {
  const std::lock_guard lock(budget_.mutex_);
  told_ = false;
  if (budget_.bytes_ > budget_.bytes_max_) budget_.tell(budget_.largest());
}

bool RequestBudget::Account::must_give_way() const {
  const std::lock_guard lock(budget_.mutex_);
  return budget_.bytes_ > budget_.bytes_max_ && budget_.largest()->bytes_ == bytes_;
}

std::vector<RequestBudget::Use> RequestBudget::uses() const {
  const std::lock_guard lock(mutex_);
  std::vector<Use> uses;
  for (const Account* a : accounts_)
    uses.push_back({a->name_, a->keys.load(std::memory_order_relaxed), a->bytes_,
                    a->oldest.load(std::memory_order_relaxed), a->cut.load(std::memory_order_relaxed)});
  return uses;
}

std::uint64_t RequestBudget::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace tidemill
