#pragma once

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "tools/cli/commands.h"
#include "tools/cli/load/retry.h"

namespace tidemill::cli {

// Ctrl-C and SIGTERM stop the load; a second one ends the program at once. A thread of its own, which only waits.
class InterruptWatch {
 public:
  explicit InterruptWatch(LoadStop& stop) {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals_, &before_);
    thread_ = std::jthread([this, &stop](const std::stop_token& end) {
      const timespec slice{0, 100'000'000};
      while (!end.stop_requested()) {
        if (sigtimedwait(&signals_, nullptr, &slice) < 0) continue;
        if (interrupted_.exchange(true)) std::_Exit(kInterrupted);
        stop.stop();
      }
    });
  }
  ~InterruptWatch() {
    thread_ = {};
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  bool interrupted() const { return interrupted_; }

 private:
  sigset_t signals_{};
  sigset_t before_{};
  std::atomic<bool> interrupted_{false};
  std::jthread thread_;
};

}  // namespace tidemill::cli
