#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "engine/position.h"
#include "engine/stream.h"
#include "storage/base/result.h"
#include "storage/log/log.h"

namespace tidemill {

// Files that a consumer has completed.
struct Filed {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
};

// What a group does with records. The group's runtime (engine/group.h) owns it and calls it on env.background, one call
// at a time, in sequence order; calls may block on the disk.
//
// Exactly once is the consumer's: it keeps its checkpoint together with its effects (views: in the same RocksDB batch;
// archive: in its manifest) and says at start where it is. Batches may be cut anywhere, and differently after a
// restart.
class Consumer {
 public:
  virtual ~Consumer() = default;

  // What has been applied, as found on disk. The first batch starts right after it. Called before process(), and again
  // only after an error.
  virtual Result<Position> open() = 0;

  // Applies the batch whole. An error is for trouble that retrying may cure (disk full, EIO): the runtime calls again
  // with the same batch after a pause, and reports the error as the group's last. One bad record is never an error:
  // park it and go on. batch.lost must be accounted for, not skipped in silence.
  virtual Result<void> process(const RecordBatch& batch) = 0;

  // For a consumer whose effects another log makes durable, which no task may wait for. pending() after process():
  // not all of the batch is applied yet, call again with the same one; after close(): call again. While it waits()
  // nothing of it is called; it calls `wake`, on any thread, when it does no more.
  virtual void wake_with(std::function<void()> /*wake*/) {}  // once, before open()
  virtual bool pending() const { return false; }
  virtual bool waits() const { return false; }

  // When the runtime should call tick() even if no records come; nullopt: not needed. Asked after open, process, tick.
  virtual std::optional<MonotonicTime> next_tick() { return std::nullopt; }
  virtual Result<void> tick() { return {}; }

  // Readers see everything up to here / a crash now would fall back to here. Any thread.
  virtual Position applied() const = 0;
  virtual Position persisted() const = 0;
  // Retention is about to reach what lies behind persisted(): where nothing that was applied waits to be durable, what
  // was looked through is to be kept as persisted now. Called like process(); an error is tried again.
  virtual Result<void> note_position() { return {}; }
  virtual std::optional<Filed> filed() const { return std::nullopt; }  // of one that writes files. Any thread.

  // Drain: make everything durable that can be (archive: seal open files; views: flush). No process() comes after it.
  // After an error it may be called again (a shard that ends for ever is closed before its children begin).
  virtual Result<void> close() = 0;
};

// A consumer that works by shard. The runtime reads the stream once and deals its records out; each shard's consumer
// sees only its own, in order; different shards run at the same time. A shard without records gets an empty batch now
// and then, whose `next` says how far the stream was looked through: it should keep that (as persisted) at least when
// it closes, for after a start reading begins at the least persisted position of all shards. After an error a shard's
// consumer is given the same records again, perhaps cut into other batches.
class ShardedConsumer {
 public:
  virtual ~ShardedConsumer() = default;
  // Before anything else, and again after an error of it or of opening a shard; then nobody holds the shards' consumers
  // of before any more. Blocks.
  virtual Result<void> open() = 0;
  // Also later, while others work: a child, when its parents are drained.
  virtual Result<std::unique_ptr<Consumer>> open_shard(const ShardDefinition& shard) = 0;
  virtual Result<void> close() = 0;
};

}  // namespace tidemill
