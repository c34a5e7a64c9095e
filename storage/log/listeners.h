#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "storage/base/ids.h"

namespace tidemill {

// Who wants to know of each publish, or of each that has a record in a range. Any thread; a callback may add or drop
// listeners, itself included.
class Listeners {
 public:
  using Listener = std::function<void(Sequence durable)>;
  using RangeListener = std::function<void(Sequence first, Sequence durable)>;

  // The handle's destructor waits for a call that is running (not for its own).
  std::shared_ptr<void> add(Listener listener);
  std::shared_ptr<void> add_in(const HashRange& range, RangeListener listener);
  // `first` to `durable` is what was published; `hashes` gives the records' hash keys, ascending, and is asked only if
  // somebody listens to a range.
  void call(Sequence first, Sequence durable, const std::function<std::span<const HashKey>()>& hashes);

 private:
  struct One {
    std::recursive_mutex mutex;
    RangeListener listener;
    bool running = false;
    bool dropped = false;
  };
  struct Entry {
    bool whole = true;  // all that is published
    HashRange range;
    std::weak_ptr<One> one;
  };
  std::shared_ptr<void> add(Entry entry, RangeListener listener);

  std::mutex mutex_;
  std::shared_ptr<const std::vector<Entry>> all_ = std::make_shared<std::vector<Entry>>();
};

}  // namespace tidemill
