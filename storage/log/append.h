#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "storage/base/ids.h"
#include "storage/base/result.h"
#include "storage/log/record.h"
#include "storage/log/source_position.h"

namespace tidemill {

// Which keyed request this is (Idempotency-Key): 128 bits of a hash of the key, 64 of a hash of the body.
struct RequestIdentity {
  std::array<std::byte, 16> key_hash{};
  std::uint64_t body_hash = 0;
};

// A record of the request that was refused before it came here; kept with the commit so that a retry gets the same
// answer. `code` is engine's number for the reason.
struct RejectedRecord {
  std::uint32_t index = 0;
  std::uint16_t code = 0;
  bool operator==(const RejectedRecord&) const = default;
};

struct Append;

// Who waits for appends. One sink per network thread, so that a commit wakes each thread once, not once a request.
class AppendSink {
 public:
  virtual ~AppendSink() = default;
  // Called on a flush thread once per commit with all of this sink's appends in it, linked by `next_done`, results
  // filled in. Must not block: hand over and return. From here on the appends belong to the sink's side again.
  virtual void appended(Append* done) noexcept = 0;
};

// One request on its way into the log. Intrusive, so that a request costs no allocation here. The caller owns it and
// everything it points to, and lets both alone from Log::append() until the sink gets it back. A request is never split
// over commits: its records are numbered without a gap, and become durable and visible together.
struct Append {
  // In.
  std::span<const NewRecord> records;  // may be empty only with an identity or a source
  std::span<const RejectedRecord> rejected;
  std::optional<RequestIdentity> identity;
  // Of a log that is made from another one: how far that is in it once these records are. Never to be mixed with
  // appends that have none, nor to go back: the last one of a commit is the commit's.
  std::optional<SourcePosition> source;
  AppendSink* sink = nullptr;

  // Out. error: StorageErrc::flush_failed (outcome unknown), not_accepting, closed, key_reused, ENOSPC ...
  ErrorCode error;
  Sequence first;  // of the accepted records; 0 when there are none
  std::uint32_t accepted = 0;
  Epoch epoch;
  bool replayed = false;  // the answer of an earlier request with the same identity
  std::vector<RejectedRecord> replayed_rejected;
  // With `throttled`: after so long, at the rate at which the queue drains, there will be room. 0: not known yet.
  std::chrono::nanoseconds retry_after{};

  Append* next_done = nullptr;

  // The log's own, while it has the append.
  Append* next_queued = nullptr;
  std::uint64_t queued_bytes = 0;
  MonotonicTime queued_at{};
};

}  // namespace tidemill
