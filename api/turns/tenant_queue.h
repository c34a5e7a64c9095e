#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "storage/seam/executor.h"

namespace tidemill {

// Gives an executor's threads to tenants in turn: whoever has a hundred tasks waiting, another tenant's first one comes
// next. The tasks of one tenant start in the order of posting. Any thread; does not block. What is under way lives on
// without it.
class TenantQueue {
 public:
  struct Limits {
    std::size_t at_work = 1;         // tasks that run at a time
    std::size_t at_work_of_one = 1;  // of these, of one tenant
    std::size_t waiting_of_one = 1;  // and that wait for their turn
  };
  // Of so many threads: one is left to what does not queue here, and one of the others to other tenants, if there are
  // as many.
  static Limits of_threads(std::size_t threads);

  TenantQueue(Executor& under, const Limits& limits);
  // False: as many of the tenant wait as may, and the task is not taken.
  [[nodiscard]] bool post(const std::string& tenant, Task task);
  // The rest of a task that has run: it takes its turn like all, and is never refused.
  void go_on(const std::string& tenant, Task task);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace tidemill
