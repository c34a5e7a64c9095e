#include "storage/log/listeners.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace tidemill {

std::shared_ptr<void> Listeners::add(Listener listener) {
  return add(Entry(), [listener = std::move(listener)](Sequence, Sequence durable) { listener(durable); });
}

std::shared_ptr<void> Listeners::add_in(const HashRange& range, RangeListener listener) {
  return add(Entry{false, range, {}}, std::move(listener));
}

std::shared_ptr<void> Listeners::add(Entry entry, RangeListener listener) {
  auto one = std::make_shared<One>();
  one->listener = std::move(listener);
  {
    std::lock_guard lock(mutex_);
    // A new list each time, so that call() needs the lock only to take the present one; those that went are left out.
    auto all = std::make_shared<std::vector<Entry>>();
    for (const Entry& other : *all_) {
      if (!other.one.expired()) all->push_back(other);
    }
    entry.one = one;
    all->push_back(std::move(entry));
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

void Listeners::call(Sequence first, Sequence durable, const std::function<std::span<const HashKey>()>& hashes) {
  std::shared_ptr<const std::vector<Entry>> all;
  {
    std::lock_guard lock(mutex_);
    all = all_;
  }
  std::optional<std::span<const HashKey>> sorted;
  for (const Entry& entry : *all) {
    if (!entry.whole) {
      if (!sorted) sorted = hashes();
      const auto at = std::lower_bound(sorted->begin(), sorted->end(), entry.range.first);
      if (at == sorted->end() || *at > entry.range.last) continue;
    }
    const auto one = entry.one.lock();
    if (!one) continue;
    std::lock_guard lock(one->mutex);
    if (one->dropped) continue;
    one->running = true;
    one->listener(first, durable);
    one->running = false;
    if (one->dropped) one->listener = nullptr;
  }
}

}  // namespace tidemill
