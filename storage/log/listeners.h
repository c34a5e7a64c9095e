#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "storage/base/ids.h"

namespace tidemill {

// Who wants to know of each publish. Any thread; a callback may add or drop listeners, itself included.
class Listeners {
 public:
  using Listener = std::function<void(Sequence durable)>;

  // The handle's destructor waits for a call that is running (not for its own).
  std::shared_ptr<void> add(Listener listener);
  void call(Sequence durable);

 private:
  struct One {
    std::recursive_mutex mutex;
    Listener listener;
    bool running = false;
    bool dropped = false;
  };
  std::mutex mutex_;
  std::shared_ptr<const std::vector<std::weak_ptr<One>>> all_ = std::make_shared<std::vector<std::weak_ptr<One>>>();
};

}  // namespace tidemill
