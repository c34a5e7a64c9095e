#pragma once

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/position.h"

namespace tidemill::views {

// Who waits until a view shows a position. Any thread.
class Waiters : public std::enable_shared_from_this<Waiters> {
 public:
  // Calls `then` once `position` is reached: at once, on this thread, or in reached(), on its thread. Not any more when
  // the handle is gone (a call that runs at that moment may still end).
  std::shared_ptr<void> add(Position position, std::function<void()> then) {
    {
      const std::lock_guard lock(mutex_);
      if (reached_ < position) {
        const auto at = waiting_.insert(waiting_.end(), {position, std::move(then)});
        return std::shared_ptr<void>(nullptr, [self = shared_from_this(), at](void*) { self->remove(at); });
      }
    }
    then();
    return nullptr;
  }
  void reached(Position position) {
    std::vector<std::function<void()>> due;
    {
      const std::lock_guard lock(mutex_);
      reached_ = position;
      for (auto& w : waiting_) {
        if (w.then && w.position <= position) due.push_back(std::exchange(w.then, nullptr));
      }
    }
    for (const auto& then : due) then();
  }
  Position reached() const {
    const std::lock_guard lock(mutex_);
    return reached_;
  }

 private:
  struct Waiting {
    Position position;
    std::function<void()> then;  // empty: was called
  };
  void remove(std::list<Waiting>::iterator at) {
    const std::lock_guard lock(mutex_);
    waiting_.erase(at);
  }
  mutable std::mutex mutex_;
  Position reached_;
  std::list<Waiting> waiting_;
};

}  // namespace tidemill::views
