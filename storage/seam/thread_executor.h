#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "storage/seam/executor.h"

namespace tidemill {

// A named pool of threads (names as `top -H` shows them: "flush-0", "flush-1"; at most 15 characters count). Tasks
// start in the order of posting; timers that are due go before tasks that wait. Owned by main (or a test), which stops
// it after the parts that post to it were closed. A task that throws ends the process: tasks answer for themselves.
class ThreadExecutor final : public Executor {
 public:
  enum class Priority {
    normal,
    low,  // runs where the others leave time, and gives way at once (SCHED_IDLE)
  };
  ThreadExecutor(std::string name, std::size_t threads, Priority priority = Priority::normal);
  ~ThreadExecutor() override;  // stop()

  void post(Task task) override;
  void post_after(std::chrono::nanoseconds delay, Task task) override;

  // Runs what was posted, and what that posts in turn; drops timers that are not due; joins the threads. From then on
  // posted tasks are dropped (destroyed, not run). Idempotent; not from one of its own tasks.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidemill
