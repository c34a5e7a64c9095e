#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>

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

  void wake();                      // any thread; does not block
  void wake_at(MonotonicTime due);  // the earliest one asked for counts
  std::weak_ptr<Serial> weak() { return weak_from_this(); }

 protected:
  virtual void run() = 0;
  Env& env_;

 private:
  enum class State { idle, posted, running, again };
  void post();

  std::atomic<State> state_{State::idle};
  std::mutex timer_mutex_;
  std::optional<MonotonicTime> armed_;
};

}  // namespace tidemill
