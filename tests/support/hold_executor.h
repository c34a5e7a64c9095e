#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include "storage/seam/executor.h"

namespace tidemill {

// Another executor's tasks, which a test can hold: what is posted meanwhile, and timers that fall due, run when it lets
// go. Any thread.
class HoldExecutor final : public Executor {
 public:
  void over(Executor& under) { under_ = &under; }

  void post(Task task) override {
    {
      const std::lock_guard lock(mutex_);
      if (held_) return waiting_.push_back(std::move(task));
      ++running_;
    }
    under_->post([this, task = std::move(task)] {
      task();
      const std::lock_guard lock(mutex_);
      --running_;
      changed_.notify_all();
    });
  }
  void post_after(std::chrono::nanoseconds delay, Task task) override {
    under_->post_after(delay, [this, task = std::move(task)] { post(task); });
  }

  // From its return on nothing runs. Not in a task.
  void hold() {
    std::unique_lock lock(mutex_);
    held_ = true;
    changed_.wait(lock, [this] { return running_ == 0; });
  }
  void release() {
    std::deque<Task> waiting;
    {
      const std::lock_guard lock(mutex_);
      held_ = false;
      waiting.swap(waiting_);
    }
    for (Task& task : waiting) post(std::move(task));
  }

 private:
  Executor* under_ = nullptr;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> waiting_;
  int running_ = 0;
  bool held_ = false;
};

}  // namespace tidemill
