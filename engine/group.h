#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/consumer.h"
#include "engine/qualified_name.h"
#include "storage/seam/env.h"

namespace tidemill {

struct GroupShardStatus {
  ShardId shard;
  Position applied;
  Position persisted;
  std::uint64_t lag_records =
      0;  // durable records of this shard not yet applied; an upper bound where counting would mean reading
  // Age of the oldest record not yet applied, by its arrival time; 0 when there is none. nullopt: it cannot be read.
  std::optional<double> lag_seconds = 0;
  std::string last_error;  // while it fails; empty when all is well
};

struct GroupStatus {
  std::string tenant;  // of the stream, and so of the group
  std::string name;    // "<stream>:<consumer>", e.g. retail:archive
  std::string stream;
  StreamId stream_id;
  std::string consumer;  // archive, views
  Position applied;      // the least of the shards'
  Position persisted;
  Sequence durable;  // of the stream
  std::uint64_t lag_records = 0;
  std::optional<double> lag_seconds = 0;
  std::vector<GroupShardStatus> shards;  // empty for a consumer that reads the whole stream
  std::optional<Filed> filed;            // by a consumer that writes files
  std::string last_error;                // empty when all is well
  WallTime last_error_time{};
  std::uint64_t retries = 0;
  bool open = false;  // else nobody knows how far it is
  QualifiedName qualified_name() const { return {tenant, name}; }
};

// The consumer-group runtime. Reads each group's stream behind its durable position, hands batches to the consumer on
// env.background, one call at a time (sharded: one per shard), wakes on new commits and on the consumer's ticks,
// retries after errors with growing pauses (0.1 to 30 s), bounds what is read ahead. Any thread, but add(), remove()
// and close() block: never inside an executor's task.
//
// A sharded group reads the stream once, from the least of its shards' checkpoints, and deals the records out. A shard
// that has nothing in a batch is told its `next` now and then (an empty batch about every second while records flow,
// and before close), not each time: 10,000 idle shards must cost nothing.
//
// After a split or merge a child's consumer is opened, and given records, when those of all its parents have applied
// the last of theirs and are closed; until then the child's records stay in the log. A child reads by itself what came
// meanwhile, then it is dealt records like any other.
//
// A shard that fails holds up no other but its children: where what it has not applied fills the room for reading
// ahead, that is dropped, and the shard reads its records by itself until it has caught up. Where more than half of the
// shards fail it is no shard's own trouble (the disk is full), and all wait.
class Groups {
 public:
  explicit Groups(Env& env);
  ~Groups();
  // What becomes of a consumer that cannot be opened: nothing is added, or it is, and opening is tried again like any
  // other call, with the error in the group's status.
  enum class WhenNotOpened { give_up, keep_trying };
  // Opens the consumer (blocks) and starts it. The group is the stream's tenant's: its name is one among those.
  Result<void> add(std::string name, std::shared_ptr<Stream> stream, std::shared_ptr<Consumer> consumer,
                   WhenNotOpened when = WhenNotOpened::give_up);
  Result<void> add(std::string name, std::shared_ptr<Stream> stream, std::shared_ptr<ShardedConsumer> consumer,
                   WhenNotOpened when = WhenNotOpened::give_up);
  // Stops and closes the consumer; blocks until it has.
  Result<void> remove(const QualifiedName& name);
  // The stream's shards have changed: its groups look again. Does not block.
  void wake(StreamId stream);
  // Retention is about to reach what lies behind the group's persisted position: its consumer is to keep how far it has
  // come, where it has nothing to do for that but to say so (Consumer::note_position). Does not block.
  void note_position(const QualifiedName& name);
  // How groups are, of all tenants. May read a record of the log for each, to know how old it is.
  std::vector<GroupStatus> list() const;
  std::vector<GroupStatus> list(std::string_view tenant) const;
  std::optional<GroupStatus> find(const QualifiedName& name) const;
  // Stops all, closing each (archive seals, views flush). Blocks. Idempotent.
  Result<void> close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidemill
