#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>

#include "storage/base/time.h"
#include "storage/seam/env.h"

namespace tidemill {

// Something that runs on env.background whenever it is woken, never twice at the same time. Any number of wakes while
// it waits are one run; wakes while it runs make one more run. Held by shared_ptr; a run on its way shares it, a timer
// does not.
class Serial : public std::enable_shared_from_this<Serial> {
 public:
  explicit Serial(Env& env) : env_(env) {}
  virtual ~Serial() = default;

  void wake();  // any thread; does not block
  // A run at `due` or before: where a timer that fires earlier is under way there is no second one, so run() asks again
  // for what it still waits for.
  void wake_at(MonotonicTime due);
  std::weak_ptr<Serial> weak() { return weak_from_this(); }

 protected:
  virtual void run() = 0;
  Env& env_;

 private:
  enum class State { idle, posted, running, again };
  void post();

  std::atomic<State> state_{State::idle};
  std::mutex timer_mutex_;
  std::multiset<MonotonicTime> timers_;  // under way
};

}  // namespace tidemill
