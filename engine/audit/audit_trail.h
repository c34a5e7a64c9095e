#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/audit/audit_gather.h"
#include "engine/audit/chain.h"
#include "storage/base/metrics.h"
#include "storage/base/result.h"
#include "storage/log/log.h"
#include "storage/seam/env.h"

namespace tidemill {

class Engine;

struct AuditMetrics {
  Counter events;    // written
  Counter summed;    // requests that stand in sums only, for there were too many different ones
  Counter lost;      // requests that are in no event: the log could not be written
  Counter failures;  // writes of the log that failed
};

// Who came, who was turned away, whose answer was ended, and who asked for a change: a log of its own (`_audit`,
// docs/formats/audit.md), chained like the system stream, which says what the changes were. Requests are gathered in
// memory for a second, and written by a task of env.background; so who notes one never waits for the disk, and a crash
// may lose the last second. The first request of a key from an address in an hour is an event, the rest of that hour
// are one more.
//
// Made by main, after the engine; outlives whoever serves; closed before the engine is. Any thread.
class AuditTrail {
 public:
  struct Options {
    std::uint64_t keep_bytes = 1ull << 30;  // 0: no limit. Whole segments, the oldest go first
    std::chrono::milliseconds keep_age{0};  // 0: no limit
  };
  // `env`: Engine::control(), so that it waits for nobody's records. Blocks on the disk. A log that cannot be opened is
  // said to the logger, and tried again when there is something to write.
  static std::unique_ptr<AuditTrail> open(Env& env, Engine& engine, const Options& options);
  virtual ~AuditTrail() = default;

  // Never block on the disk.
  virtual void accepted(const AuditRequest& request) = 0;
  virtual void denied(const AuditRequest& request, std::string_view reason, std::string_view needs) = 0;
  virtual void asked(const AuditRequest& request) = 0;  // for a change, which it may make
  // An answer without an end, because what it was let in by is not good any more.
  virtual void ended(const AuditRequest& request, std::string_view reason) = 0;
  virtual const AuditMetrics& metrics() const = 0;

  // What was noted before is on disk when it returns, if the disk let it; the present hour's counts too. Blocks: never
  // inside a task of the executors, never on a network thread.
  virtual void flush() = 0;
  // nullptr: nothing was ever written.
  virtual std::shared_ptr<Log> log() const = 0;
  virtual ChainHead head() const = 0;  // of what this process has written or found; 0: nothing
  virtual void close() = 0;            // flush(), and no more. Before Engine::close(). Idempotent
};

}  // namespace tidemill
