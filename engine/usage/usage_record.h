#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/usage/usage_log.h"

namespace tidemill {

// A record of `_usage` (docs/formats/usage.md). `delta.hour` is cut to the whole hour. The tenant is the stream's.
void encode_usage(std::string& out, const UsageDelta& delta);

// Reads many. One thread.
class UsageReader {
 public:
  UsageReader();
  ~UsageReader();
  // nullopt: not one of ours. `delta.tenant` is left empty.
  std::optional<UsageDelta> read(std::string_view json);

 private:
  struct Impl;  // simdjson
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidemill
