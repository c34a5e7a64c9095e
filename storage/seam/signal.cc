#include <condition_variable>
#include <mutex>

#include "storage/seam/executor.h"

namespace tidemill {
namespace {

class ThreadSignal final : public Signal {
 public:
  void set() override {
    const std::lock_guard lock(mutex_);
    set_ = true;
    changed_.notify_all();
  }
  void wait() override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return set_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;
};

}  // namespace

std::shared_ptr<Signal> Executor::make_signal() {
  return std::make_shared<ThreadSignal>();
}

}  // namespace tidemill
