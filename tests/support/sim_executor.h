#pragma once

#include <cstdint>
#include <vector>

#include "storage/seam/executor.h"
#include "tests/support/sim_clock.h"
#include "tests/support/sim_random.h"

namespace tidemill {

// One queue, one thread (the test's), virtual time. Takes the tasks that are ready in an order drawn from the seed, as
// a pool of threads might. Nothing runs until the test says so; time passes only when nothing is ready.
class SimExecutor final : public Executor {
 public:
  SimExecutor(SimClock& clock, std::uint64_t seed) : clock_(clock), random_(seed) {}

  void post(Task task) override;
  void post_after(std::chrono::nanoseconds delay, Task task) override;
  // Its wait() runs tasks, and moves the clock, until the signal is set; CHECKs that this can still happen.
  std::shared_ptr<Signal> make_signal() override;

  // Runs one task that is ready. False: there is none.
  bool run_one();
  // Runs all that is ready, and what that posts, at the present time. Timers do not fire.
  void run_until_idle();
  // Runs all, moving the clock from timer to timer until `time` has passed.
  void run_for(std::chrono::nanoseconds time);
  // Runs until done(), moving the clock as needed; false if it was not done within `limit` of virtual time.
  template <class Done>
  bool run_until(Done done, std::chrono::nanoseconds limit = std::chrono::minutes(10)) {
    const MonotonicTime end = clock_.monotonic() + limit;
    while (!done())
      if (!run_one() && !advance_to_next_timer(end)) return false;
    return true;
  }

  // The process is gone: forgets all tasks and timers, running none.
  void drop_all();
  std::size_t ready() const { return ready_.size(); }
  std::size_t timers() const { return timers_.size(); }
  std::uint64_t tasks_run() const { return tasks_run_; }

 private:
  struct Timer {
    MonotonicTime due;
    std::uint64_t order;
    Task task;
  };
  void take_due_timers();
  bool advance_to_next_timer(MonotonicTime not_after);

  SimClock& clock_;
  SimRandom random_;
  std::vector<Task> ready_;
  std::vector<Timer> timers_;
  std::uint64_t next_order_ = 0;
  std::uint64_t tasks_run_ = 0;
};

}  // namespace tidemill
