#pragma once

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/position.h"

namespace tidemill::views {

// Who waits until a view shows a position. Any thread.
class Waiters : public std::enable_shared_from_this<Waiters> {
 public:
  // Calls `then` once `position` is reached: at once, on this thread, or in reached(), on its thread. Not any more when
  // the handle is gone (a call that runs at that moment may still end).
  std::shared_ptr<void> add(Position position, std::function<void()> then) {
    std::shared_ptr<Waiters> successor;
    {
      const std::lock_guard lock(mutex_);
      successor = successor_;
      if (!successor && reached_ < position) {
        const auto at = waiting_.insert(waiting_.end(), {position, std::move(then)});
        return std::shared_ptr<void>(nullptr, [self = shared_from_this(), at](void*) { self->remove(at); });
      }
    }
    if (successor) return successor->add(position, std::move(then));
    then();
    return nullptr;
  }
  // Who waits here waits there from now on: another definition has taken the place of this one.
  void pass_on(const std::shared_ptr<Waiters>& successor) {
    struct Passed {
      Position position;
      std::function<void()> then;
      std::shared_ptr<std::shared_ptr<void>> handle;  // shared with who waits here: the request goes when it does
    };
    std::vector<Passed> passed;
    {
      const std::lock_guard lock(mutex_);
      successor_ = successor;
      for (auto& w : waiting_) {
        if (!w.then) continue;
        w.passed_on = std::make_shared<std::shared_ptr<void>>();
        passed.push_back({w.position, std::exchange(w.then, nullptr), w.passed_on});
      }
    }
    for (auto& p : passed) *p.handle = successor->add(p.position, std::move(p.then));
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
    std::function<void()> then;  // empty: was called, or passed on
    std::shared_ptr<std::shared_ptr<void>> passed_on;
  };
  void remove(std::list<Waiting>::iterator at) {
    Waiting gone;  // outlives the lock: its successor's handle goes with it
    const std::lock_guard lock(mutex_);
    gone = std::move(*at);
    waiting_.erase(at);
  }
  mutable std::mutex mutex_;
  Position reached_;
  std::list<Waiting> waiting_;
  std::shared_ptr<Waiters> successor_;
};

}  // namespace tidemill::views
