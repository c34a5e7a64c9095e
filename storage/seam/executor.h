#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace tidemill {

// Something that happens once, and the only way to block until it has. Made by an executor, for in the simulation the
// waiting thread is the one that must run the queue meanwhile.
class Signal {
 public:
  virtual ~Signal() = default;
  virtual void set() = 0;  // any thread, also more than once
  // Returns once it is set. Never inside a task (it would hold a thread of the pool, and in the simulation nest the
  // queue), never on a network loop: for main, tests and threads of one's own.
  virtual void wait() = 0;
};

// The only way to run code later or elsewhere: nothing in storage or engine starts a thread or waits on a condition
// variable by itself. In production a pool of threads (thread_executor.h); in the simulation one seeded queue that
// runs one task at a time and decides the order (tests/support/sim_executor.h).
//
// A task runs to its end and may block on the disk, never on another task. What a task uses it must own or share
// (capture a shared_ptr): a posted task may run after everybody else let go.
using Task = std::function<void()>;

class Executor {
 public:
  virtual ~Executor() = default;
  // Any thread. Tasks may run at the same time as each other, and before post() returns.
  virtual void post(Task task) = 0;
  // Not before the delay has passed. A timer cannot be cancelled: its task checks whether it is still wanted.
  virtual void post_after(std::chrono::nanoseconds delay, Task task) = 0;
  // Shared by who sets it and who waits. Here a condition variable; the simulated executor overrides it: wait() runs
  // the queue, timers included, until the signal is set, and fails loudly when the queue runs dry before.
  virtual std::shared_ptr<Signal> make_signal();
};

}  // namespace tidemill
