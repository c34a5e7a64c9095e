#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data_cut.h"
#include "engine/data_directory.h"
#include "engine/errors.h"
#include "engine/group.h"
#include "engine/position.h"
#include "engine/retention.h"
#include "engine/stream.h"
#include "engine/system_stream.h"
#include "storage/seam/env.h"
#include "storage/seam/file_system.h"

namespace tidemill {

// The data directory, opened: its lock, the system stream, all streams, the groups' runtime. Any thread. Calls that
// change something block until it is durable, and wait for executors' tasks: so they are never made inside a task of
// env.flush or of either background nor on a network loop, but on main's or a worker thread of one's own.
class Engine {
 public:
  struct Options {
    std::string data;  // made when missing
    LogOptions log;    // for every stream
    // The same world with another background, for the system stream and the audit trail: threads that nobody's records
    // keep busy, so a key is revoked and a denial written however much there is to do for the views. Outlives the
    // engine, like `env`. nullptr: `env`.
    Env* control = nullptr;
  };
  // directory_in_use, layout_too_new, errno. Logs what recovery did.
  static Result<std::unique_ptr<Engine>> open(Env& env, const Options& options);
  virtual ~Engine() = default;

  virtual std::shared_ptr<Stream> find(const QualifiedName& name) const = 0;  // nullptr: no such stream
  virtual std::shared_ptr<Stream> find(StreamId id) const = 0;
  virtual std::vector<std::shared_ptr<Stream>> list() const = 0;  // of all tenants, by tenant and name
  virtual std::vector<std::shared_ptr<Stream>> list(std::string_view tenant) const = 0;  // by name
  // definition.id and .created are given by the engine; empty .shards become `shards` equal ones. stream_exists (in its
  // tenant), invalid_name (of it or its tenant), invalid_definition. Of a derived one: no_such_stream, where its tenant
  // has no such source.
  virtual Result<std::shared_ptr<Stream>> create(StreamDefinition definition, std::uint32_t shards) = 0;
  // The same for a part of the server that keeps a stream for itself: a reserved name, and no other (engine/stream.h).
  // Never for what a client asks. What follows refuses such a stream: reserved_stream.
  virtual Result<std::shared_ptr<Stream>> create_reserved(StreamDefinition definition, std::uint32_t shards) = 0;
  // Settings that may change later: fields, partition_key, archive, retention. Found by tenant and name.
  virtual Result<std::shared_ptr<Stream>> change(const StreamDefinition& definition) = 0;
  // Closes shards at the present end of the stream and opens children for what comes after it (engine/shards.h). When
  // it returns without error the change is on disk and groups follow it; appends never notice. Without `at`: in the
  // middle. no_such_stream, those of ShardTable::plan_split and plan_merge, archived_by_shard.
  struct Resharded {
    std::shared_ptr<Stream> stream;
    Reshard change;
  };
  virtual Result<Resharded> split(const QualifiedName& name, ShardId shard, std::optional<HashKey> at = {}) = 0;
  virtual Result<Resharded> merge(const QualifiedName& name, ShardId shard, ShardId with) = 0;
  // Its groups first; files go in the background. stream_in_use: others are derived from it.
  virtual Result<void> remove(const QualifiedName& name) = 0;
  virtual std::vector<std::string> derived_from(
      StreamId source) const = 0;  // names of the streams that are, of its tenant

  // Called (on the changing thread) after a stream was created and for each existing one at registration: how consumers
  // attach theirs.
  virtual void on_stream(std::function<void(const std::shared_ptr<Stream>&)> attach) = 0;
  virtual void on_change(std::function<void(const std::shared_ptr<Stream>&)> changed) = 0;
  // After the removal is durable; what still reads the stream must be gone when it returns (groups().remove).
  virtual void on_remove(std::function<void(const std::shared_ptr<Stream>&)> detach) = 0;

  virtual Token token(const Stream& stream, Epoch epoch, Sequence last) const = 0;
  // unknown_token (answer 410), or the stream's position.
  virtual Result<Position> resolve(const Stream& stream, const Token& token) const = 0;

  // The log of the audit trail, of no tenant and found under no name. Opened when first asked for; `make`: also where
  // there is none yet. nullptr: there is none. Blocks on the disk; tasks of the executors may call it. draining.
  virtual Result<std::shared_ptr<Log>> audit_log(bool make) = 0;

  // All logs at one moment. Waits for a change of a stream that is under way.
  virtual DataCut cut() = 0;

  // Retention removes nothing before this. `keeper`: see Retention; nullptr: nobody is asked. Until close() returns.
  virtual void begin_retention(Retention::Keeper keeper) = 0;
  virtual void check_retention() = 0;  // a check soon: what was missing for it is there. Does not block
  virtual RetentionStatus retention(const Stream& stream) const = 0;

  virtual SystemStream& system() = 0;
  virtual Env& control() = 0;  // Options::control: also for the keys and the audit trail
  virtual Groups& groups() = 0;
  virtual const Options& options() const = 0;
  virtual const DataDirectory& directory() const = 0;

  // Closes the groups (what they have applied is made durable, the rest waits in the log), then the logs, which answer
  // what is in flight and refuse the rest. Whoever takes requests stops doing so before. Blocks. Idempotent.
  virtual Result<void> close() = 0;
};

}  // namespace tidemill
