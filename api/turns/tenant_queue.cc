#include "api/turns/tenant_queue.h"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "storage/base/check.h"

namespace tidemill {
namespace {

constexpr std::size_t kWaitingOfOne = 256;

}  // namespace

struct TenantQueue::Impl : std::enable_shared_from_this<Impl> {
  struct Tenant {
    std::deque<Task> waiting;
    std::size_t at_work = 0;
  };
  struct Start {
    std::string tenant;
    Task task;
  };

  Impl(Executor& u, const Limits& l) : under(u), limits(l) {}

  Executor& under;
  const Limits limits;
  std::mutex mutex;
  std::map<std::string, Tenant> tenants;  // those who have something here
  std::deque<std::string> turns;          // those who have something waiting, each once; who was last goes behind
  std::size_t at_work = 0;

  bool add(const std::string& name, Task task, bool refusable) {
    std::vector<Start> starts;
    {
      const std::lock_guard lock(mutex);
      Tenant& tenant = tenants[name];
      if (refusable && tenant.waiting.size() >= limits.waiting_of_one) return false;
      tenant.waiting.push_back(std::move(task));
      if (tenant.waiting.size() == 1) turns.push_back(name);
      starts = next();
    }
    start(std::move(starts));
    return true;
  }

  // Under the mutex. Those whose turn it is, counted as at work.
  std::vector<Start> next() {
    std::vector<Start> starts;
    while (at_work < limits.at_work) {
      const auto turn = std::find_if(turns.begin(), turns.end(), [this](const std::string& name) {
        return tenants.at(name).at_work < limits.at_work_of_one;
      });
      if (turn == turns.end()) break;
      std::string name = std::move(*turn);
      turns.erase(turn);
      Tenant& tenant = tenants.at(name);
      Task task = std::move(tenant.waiting.front());
      tenant.waiting.pop_front();
      ++tenant.at_work;
      ++at_work;
      if (!tenant.waiting.empty()) turns.push_back(name);
      starts.push_back({std::move(name), std::move(task)});
    }
    return starts;
  }

  // Not under the mutex: what a task that is not taken any more holds may post when it goes.
  void start(std::vector<Start> starts) {
    for (Start& one : starts)
      under.post([self = shared_from_this(), tenant = std::move(one.tenant), task = std::move(one.task)]() mutable {
        task();
        task = nullptr;
        self->ended(tenant);
      });
  }

  void ended(const std::string& name) {
    std::vector<Start> starts;
    {
      const std::lock_guard lock(mutex);
      const auto tenant = tenants.find(name);
      CHECK(tenant != tenants.end());
      --tenant->second.at_work;
      --at_work;
      if (tenant->second.at_work == 0 && tenant->second.waiting.empty()) tenants.erase(tenant);
      starts = next();
    }
    start(std::move(starts));
  }
};

TenantQueue::Limits TenantQueue::of_threads(std::size_t threads) {
  const std::size_t at_work = std::max<std::size_t>(threads, 2) - 1;
  return {at_work, std::max<std::size_t>(at_work, 2) - 1, kWaitingOfOne};
}

TenantQueue::TenantQueue(Executor& under, const Limits& limits) : impl_(std::make_shared<Impl>(under, limits)) {
  CHECK(limits.at_work > 0 && limits.at_work_of_one > 0 && limits.waiting_of_one > 0);
}

bool TenantQueue::post(const std::string& tenant, Task task) {
  return impl_->add(tenant, std::move(task), true);
}

void TenantQueue::go_on(const std::string& tenant, Task task) {
  impl_->add(tenant, std::move(task), false);
}

}  // namespace tidemill
