#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/keys/key_text.h"
#include "storage/base/result.h"
#include "storage/base/time.h"
#include "storage/seam/env.h"

namespace tidemill {

class Engine;

// What a key has done, or had refused.
struct UsageCounts {
  std::uint64_t requests = 0;  // that were let in
  std::uint64_t records = 0;   // accepted
  std::uint64_t bytes = 0;     // of their data, as sent
  std::uint64_t refused = 0;   // requests beyond a limit: 429
};

// Added to what was noted before. Of one key, within one hour.
struct UsageDelta {
  std::string tenant;
  KeyId key;
  WallTime hour{};  // UTC, at which it begins
  UsageCounts counts;
};

// What keys used, kept in the log: a stream `_usage` in each tenant, which only this writes, and which the view `usage`
// counts. Must not outlive the engine. Blocks: neither on a network thread nor inside a task of env.background.
class UsageLog {
 public:
  static Result<std::unique_ptr<UsageLog>> open(Env& env, Engine& engine);
  virtual ~UsageLog() = default;

  // Durable when it returns. Where it fails the deltas may be there or not; the caller does not give them again.
  virtual Result<void> append(const std::vector<UsageDelta>& deltas) = 0;

  // All that begins at `since` or later, in any order, in as many pieces as were noted.
  virtual Result<void> read(WallTime since, const std::function<void(const UsageDelta&)>& each) = 0;
};

}  // namespace tidemill
