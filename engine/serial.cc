#include "engine/serial.h"

#include <algorithm>

#include "storage/seam/clock.h"
#include "storage/seam/executor.h"

namespace tidemill {

void Serial::wake() {
  State seen = state_.load();
  for (;;) {
    switch (seen) {
      case State::idle:
        if (!state_.compare_exchange_weak(seen, State::posted)) continue;
        return post();
      case State::running:
        if (!state_.compare_exchange_weak(seen, State::again)) continue;
        return;
      case State::posted:
      case State::again:
        return;
    }
  }
}

void Serial::post() {
  env_.background.post([self = shared_from_this()] {
    self->state_.store(State::running);
    self->run();
    State expected = State::running;
    if (self->state_.compare_exchange_strong(expected, State::idle)) return;
    self->state_.store(State::posted);
    self->post();
  });
}

void Serial::wake_at(MonotonicTime due) {
  {
    const std::lock_guard lock(timer_mutex_);
    if (!timers_.empty() && *timers_.begin() <= due) return;
    timers_.insert(due);
  }
  const auto delay = std::max(due - env_.clock.monotonic(), std::chrono::nanoseconds(0));
  env_.background.post_after(delay, [weak = weak_from_this(), due] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    {
      const std::lock_guard lock(self->timer_mutex_);
      self->timers_.erase(self->timers_.find(due));
    }
    self->wake();
  });
}

}  // namespace tidemill
