#include "tests/support/sim_executor.h"

#include <algorithm>
#include <utility>

#include "storage/base/check.h"

namespace tidemill {

void SimExecutor::post(Task task) {
  CHECK(task);
  ready_.push_back(std::move(task));
}

void SimExecutor::post_after(std::chrono::nanoseconds delay, Task task) {
  CHECK(task);
  timers_.push_back(
      {clock_.monotonic() + std::max(delay, std::chrono::nanoseconds(0)), next_order_++, std::move(task)});
}

std::shared_ptr<Signal> SimExecutor::make_signal() {
  class SimSignal final : public Signal {
   public:
    explicit SimSignal(SimExecutor& executor) : executor_(executor) {}
    void set() override { set_ = true; }
    void wait() override {
      CHECK(executor_.run_until([this] { return set_; }, std::chrono::hours(24)));
    }

   private:
    SimExecutor& executor_;
    bool set_ = false;
  };
  return std::make_shared<SimSignal>(*this);
}

void SimExecutor::take_due_timers() {
  const MonotonicTime now = clock_.monotonic();
  for (std::size_t i = 0; i < timers_.size();) {
    if (timers_[i].due > now) {
      ++i;
      continue;
    }
    ready_.push_back(std::move(timers_[i].task));
    timers_[i] = std::move(timers_.back());
    timers_.pop_back();
  }
}

bool SimExecutor::run_one() {
  take_due_timers();
  if (ready_.empty()) return false;
  std::swap(ready_[random_.below(ready_.size())], ready_.back());
  const Task task = std::move(ready_.back());
  ready_.pop_back();
  ++tasks_run_;
  task();
  return true;
}

void SimExecutor::run_until_idle() {
  while (run_one()) {
  }
}

bool SimExecutor::advance_to_next_timer(MonotonicTime not_after) {
  const auto next = std::min_element(timers_.begin(), timers_.end(), [](const Timer& a, const Timer& b) {
    return std::pair(a.due, a.order) < std::pair(b.due, b.order);
  });
  if (next == timers_.end() || next->due > not_after) return false;
  if (next->due > clock_.monotonic()) clock_.advance(next->due - clock_.monotonic());
  take_due_timers();
  return true;
}

void SimExecutor::run_for(std::chrono::nanoseconds time) {
  const MonotonicTime end = clock_.monotonic() + time;
  do {
    run_until_idle();
  } while (advance_to_next_timer(end));
  if (clock_.monotonic() < end) clock_.advance(end - clock_.monotonic());
}

void SimExecutor::drop_all() {
  // What a task holds may post when it goes.
  while (!ready_.empty() || !timers_.empty()) {
    const auto ready = std::exchange(ready_, {});
    const auto timers = std::exchange(timers_, {});
  }
}

}  // namespace tidemill
