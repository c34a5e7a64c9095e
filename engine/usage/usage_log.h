#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
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

// The stream in which a tenant's usage is noted (docs/formats/usage.md), and for how long.
inline constexpr std::string_view kUsageStream = "_usage";
inline constexpr std::chrono::days kUsageAge{400};  // beyond a year and a month: no month's quota is ever lost by it

// What keys used, kept in the log: a stream `_usage` in each tenant, which only this writes, and which the view `usage`
// counts. Must not outlive the engine. Any thread. Blocks: neither on a network thread nor inside a task of
// env.background.
//
// What is noted costs a commit for each tenant, 4 KiB of disk at least, so it is for what was gathered over a while.
class UsageLog {
 public:
  static Result<std::unique_ptr<UsageLog>> open(Env& env, Engine& engine);
  virtual ~UsageLog() = default;

  // Durable when it returns. A tenant's first makes its stream. Where it fails the deltas may be there or not; the
  // caller does not give them again. One tenant's failure, which is logged, does not keep the others' from being noted.
  virtual Result<void> append(const std::vector<UsageDelta>& deltas) = 0;

  // All of `tenant`, or of all where that is empty, that begins at `since` or later, in any order, in as many pieces as
  // were noted. Looks for the place by time,
  // and reads on from there. StorageErrc::damaged: some cannot be read, the log says where; all the rest has been
  // handed out, so that whoever would rather count too little than not at all can.
  virtual Result<void> read(WallTime since, const std::string& tenant,
                            const std::function<void(const UsageDelta&)>& each) = 0;

  // By tenant, what was noted since this was opened.
  virtual std::map<std::string, UsageCounts> noted() const = 0;
};

}  // namespace tidemill
