#include "storage/log/listeners.h"

namespace tidemill {

std::shared_ptr<void> Listeners::add(Listener listener) {
  auto one = std::make_shared<One>();
  one->listener = std::move(listener);
  {
    std::lock_guard lock(mutex_);
    // A new list each time, so that call() needs the lock only to take the present one; those that went are left out.
    auto all = std::make_shared<std::vector<std::weak_ptr<One>>>();
    for (const auto& other : *all_) {
      if (!other.expired()) all->push_back(other);
    }
    all->push_back(one);
    all_ = std::move(all);
  }
  return std::shared_ptr<void>(one.get(), [one](void*) mutable {
    {
      std::lock_guard lock(one->mutex);
      one->dropped = true;
      if (!one->running) one->listener = nullptr;  // else call() does, a function must not go while it runs
    }
    one.reset();
  });
}

void Listeners::call(Sequence durable) {
  std::shared_ptr<const std::vector<std::weak_ptr<One>>> all;
  {
    std::lock_guard lock(mutex_);
    all = all_;
  }
  for (const auto& weak : *all) {
    const auto one = weak.lock();
    if (!one) continue;
    std::lock_guard lock(one->mutex);
    if (one->dropped) continue;
    one->running = true;
    one->listener(durable);
    one->running = false;
    if (one->dropped) one->listener = nullptr;
  }
}

}  // namespace tidemill
