#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "api/context.h"

namespace tidemill {

// Whether a tenant may have one more stream. Lives until that is made. On a worker.
class NewStream {
 public:
  NewStream(ApiContext& context, const std::string& tenant) : context_(context), tenant_(tenant) {}
  // For one that is not there. An answer: it has as many as it may. None: whoever else asks waits until this goes.
  std::optional<http::Response> refuse();

 private:
  ApiContext& context_;
  const std::string& tenant_;
  std::unique_lock<std::mutex> lock_;
};

}  // namespace tidemill
