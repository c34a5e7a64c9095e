#pragma once

#include <chrono>
#include <cstddef>

#include "storage/seam/executor.h"

namespace tidemill::http {

// One network thread and its connections. Owned by the server, lives until Server::stop() has returned. Answers that
// one task (or one read) makes are sent together when it ends.
class Loop : public Executor {
 public:
  virtual std::size_t index() const = 0;  // 0 to Server::loops() - 1
  virtual bool running_here() const = 0;  // on this thread?
};

}  // namespace tidemill::http
