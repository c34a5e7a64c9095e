#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/base/ids.h"
#include "storage/base/metrics.h"
#include "storage/base/result.h"
#include "storage/log/append.h"
#include "storage/log/log_cut.h"
#include "storage/log/record.h"
#include "storage/log/retention.h"
#include "storage/seam/env.h"

namespace tidemill {

class Pond;

struct LogOptions {
  std::uint64_t segment_bytes_first = 1 << 20;
  std::uint64_t segment_bytes_max = 64 << 20;  // each segment is twice the one before, up to this
  std::uint64_t commit_bytes_max = 1 << 20;    // or one request, if that is larger
  std::uint64_t queue_bytes_max = 32 << 20;    // appends in flight; above it they are refused (throttled)
  std::uint64_t tail_cache_bytes = 16 << 20;   // decoded recent commits, shared by all tailing readers; if no pond says
  std::uint32_t request_window = 1'000'000;    // idempotency keys remembered
  bool write_through = false;                  // commits go past the page cache, where the file system can do that
  std::chrono::milliseconds mark_delay{100};   // durable mark at most this long behind
  std::string name;                            // what the logger's lines call this log
  std::shared_ptr<Pond> pond;                  // shared with other logs; none: one of its own, without a limit
};

// What is missing and why: records that were durable once and cannot be read back.
struct LostRange {
  Sequence first;
  Sequence last;
  std::string file;
  ByteOffset offset;
};

class Block;  // the decoded records of one commit; immutable, shared by readers

// Records in sequence order, and what keeps their bytes alive.
struct RecordBatch {
  std::vector<Record> records;
  Sequence next;                // where to read on: after the last record examined, whether it was in range or not
  std::vector<LostRange> lost;  // damage met between the records; `next` is beyond it
  std::vector<std::shared_ptr<const Block>> blocks;
  bool from_disk = false;  // some of it was not in memory
};

struct ReadOptions {
  HashRange range;  // only records whose hash key lies in it
  std::uint32_t records_max = 10'000;
  std::uint64_t bytes_max = 8 << 20;  // of data; at least one record is returned all the same
  bool cached_only = false;           // never touch the disk: an empty batch with `next == from` means "not in memory"
  // A reader that walks through old records, which nobody else will want soon: what comes next in a sealed segment is
  // read ahead, and what it has read does not stay in the page cache.
  bool historical = false;
};

struct LogStatus {
  Incarnation incarnation;
  Epoch epoch;
  Sequence start;           // first record still held
  Sequence durable;         // last record flushed; `start - 1` when there is none
  WallTime last_time{};     // running maximum of the commits' wall clock
  std::uint64_t bytes = 0;  // of all segment files
  std::uint64_t segments = 0;
  bool accepting = true;
  // False: a flush has failed and the disk was too full to say where the log ends; until an append goes through, what
  // it was of may be found at the next start. True: it is not there, if accepting.
  bool sealed = true;
  std::vector<LostRange> damage;  // known so far
};

struct LogMetrics {
  Counter records, record_bytes, commits, commit_bytes, flush_failures, throttled, replayed;
  Counter lanes_decoded;                 // read from disk: checked, and decompressed where they were compressed
  Counter lanes_read;                    // gone through for a reader, from memory or disk
  Histogram flush_us{kLatencyBoundsUs};  // write + fdatasync of one commit
  Histogram queue_us{kLatencyBoundsUs};  // append() to start of its commit
  Histogram records_per_commit{kCountBounds};
  Gauge queued_bytes;
};

// The append-only log of one stream, in one directory. See docs/formats/segment.md for the bytes.
//
// Any thread may call anything; open(), read() without cached_only and the time look-ups block on the disk. There is
// one writer at a time: a task on env.flush that takes all that queued while the last flush ran, writes once, flushes
// once, publishes the durable sequence and answers everybody. Nobody (reader, listener, sink) ever sees a record before
// it is durable.
//
// Always held by shared_ptr; tasks on their way share it.
class Log : public std::enable_shared_from_this<Log> {
 public:
  // Opens or, where the directory holds no log, creates one. When it returns, everything that readers can see has been
  // flushed by this process.
  static Result<std::shared_ptr<Log>> open(Env& env, const std::string& directory, const LogOptions& options);
  virtual ~Log() = default;

  // The sink is always called, exactly once, possibly before this returns (throttled, closed, replayed).
  virtual void append(Append* append) = 0;

  virtual Sequence durable() const = 0;
  virtual Sequence start() const = 0;
  virtual LogStatus status() const = 0;
  // What counts now. For whoever looks at the files themselves while this log goes on: verify, backup.
  virtual LogCut cut() const = 0;
  // The last record of `epoch`: a later epoch began right after it (the segment headers say so), so a position of that
  // epoch beyond it was cut off. The present epoch's is durable(); one whose segments are gone (retention) gives the
  // end of the nearest later one that is known. nullopt: later than the present epoch, or 0.
  virtual std::optional<Sequence> end_of(Epoch epoch) const = 0;
  virtual const LogMetrics& metrics() const = 0;

  // How far this log is in the one that it is made from, by what is durable in it; nullopt: it is not, or it has been
  // opened to be read only.
  virtual std::optional<SourcePosition> source() const { return std::nullopt; }

  // Records from `from` on, up to the durable sequence. `from` may be durable()+1 (an empty batch). Below start():
  // StorageErrc::before_start; further up: beyond_end.
  virtual Result<RecordBatch> read(Sequence from, const ReadOptions& options) = 0;
  // The first record whose commit has a running maximum time at or after `time`; durable()+1 if there is none.
  virtual Result<Sequence> find(WallTime time) = 0;

  // Calls back on a flush thread after each publish, with the new durable sequence, until the returned handle goes.
  // Must not block. The handle's destructor waits for a running call.
  using Listener = std::function<void(Sequence durable)>;
  virtual std::shared_ptr<void> listen(Listener listener) = 0;

  // The same for who only wants records in `range`: called when a commit has one, with the commit's first sequence.
  // What lies between two calls has none, so who has read up to the end needs not look at it. A reader of one shard
  // among thousands costs nothing while others are written, but one comparison with each commit.
  using RangeListener = std::function<void(Sequence first, Sequence durable)>;
  virtual std::shared_ptr<void> listen_in(const HashRange& range, RangeListener listener) = 0;

  // A number kept beside the durable mark, written with it and not flushed by itself (views: how far they may have
  // shown the log to readers). `slot` < 8. Recovered at open; nullopt where it was lost.
  virtual void note(std::uint32_t slot, Sequence sequence) = 0;
  // The same, and it is on disk when this returns. Blocks for a flush.
  virtual Result<void> note_durably(std::uint32_t slot, Sequence sequence) = 0;
  virtual std::optional<Sequence> noted(std::uint32_t slot) const = 0;

  // Retention. Both block on the disk. Where the limits would have the log begin: start(), or the first record of a
  // later segment. Changes nothing.
  virtual Result<Sequence> retention_start(const RetentionLimits& limits) = 0;
  // The log now begins with the latest segment that begins at or before `start`. That is on disk before any file is
  // touched; then what lies before it is removed. Returns the start, which may be an earlier one: keyed requests in
  // what would go must be in the snapshot first. After an error of the disk the start stays as it is until the log is
  // opened again.
  virtual Result<Sequence> drop_before(Sequence start) = 0;

  // Refuses new appends, answers those in flight, writes and flushes the durable mark, then calls `closed` (on a flush
  // thread). Reading goes on.
  virtual void close(std::function<void()> closed) = 0;
};

}  // namespace tidemill
