#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "storage/base/time.h"

namespace tidemill {

// The bytes of the request windows of all logs of a process. A window asks before it grows. Where there is no room, the
// largest one is told to give way (an eighth of its keys, the oldest first), unless it is the one that asks: that goes
// on with the room that it has, which also costs its oldest keys. So small windows keep all they are allowed, and large
// ones meet at one size. Any thread; outlives its accounts.
class RequestBudget {
 public:
  explicit RequestBudget(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}
  RequestBudget(const RequestBudget&) = delete;
  RequestBudget& operator=(const RequestBudget&) = delete;

  // One window's. Its owner's calls come one at a time.
  class Account {
   public:
    ~Account();  // gives all of it back
    // False: there is no room, now.
    bool take(std::uint64_t more);
    // Without asking; if that is too much, the largest has to give way.
    void take_anyway(std::uint64_t more);
    void give_back(std::uint64_t bytes);
    void gave_way();  // it has done what it was told, once; there may be a next time at once
    // Is all together more than there is room for, and nobody's part larger than this one's?
    bool must_give_way() const;
    // For those who count. The oldest key came before `oldest`; max(): it came just now, or there is none.
    std::atomic<std::uint64_t> keys{0};
    std::atomic<bool> cut{false};  // older keys went because there was no room, not because it holds all it may
    std::atomic<MonotonicTime> oldest{MonotonicTime::max()};

   private:
    friend class RequestBudget;
    Account(RequestBudget& budget, std::string name, std::function<void()> give_way)
        : budget_(budget), name_(std::move(name)), give_way_(std::move(give_way)) {}
    RequestBudget& budget_;
    const std::string name_;
    const std::function<void()> give_way_;
    std::uint64_t bytes_ = 0;  // under the budget's lock
    bool told_ = false;        // likewise
  };
  // `give_way` is called under locks: it only passes the word on.
  std::unique_ptr<Account> open(std::string name, std::function<void()> give_way);

  struct Use {
    std::string name;
    std::uint64_t keys;
    std::uint64_t bytes;
    MonotonicTime oldest;
    bool cut;
  };
  std::vector<Use> uses() const;
  std::uint64_t bytes() const;
  std::uint64_t bytes_max() const { return bytes_max_; }

 private:
  Account* largest() const;
  void tell(Account* account);

  const std::uint64_t bytes_max_;
  mutable std::mutex mutex_;
  std::uint64_t bytes_ = 0;
  std::list<Account*> accounts_;
};

}  // namespace tidemill
