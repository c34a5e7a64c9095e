#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/qualified_name.h"
#include "engine/shards.h"
#include "storage/base/ids.h"
#include "storage/log/log.h"

namespace tidemill {

// Names the directory of the audit trail's log (engine/audit): no stream is ever given it. It is the greatest number
// that JSON's readers keep exactly.
inline constexpr StreamId kAuditStream{9'007'199'254'740'991};

enum class FieldType { text, integer, number };  // what CSV columns of this name become

// What a stream is, apart from its records. Lives in the system stream; changes by events there only.
struct StreamDefinition {
  StreamId id;
  std::string name;                    // [A-Za-z0-9_.-]{1,128}; a leading `_` is ours
  std::string tenant{kDefaultTenant};  // whose it is; never changes
  std::string partition_key;           // name of a top-level field; empty: the request must name the key
  std::map<std::string, FieldType, std::less<>> fields;
  std::vector<ShardDefinition> shards;
  struct Archive {
    bool enabled = true;
    std::uint64_t size_bytes = 5 << 20;
    std::chrono::milliseconds age{60'000};
  } archive;
  // What goes when it is older, or when there is more; nullopt: off. Whole segments, and not what a view needs.
  struct Retention {
    std::optional<std::chrono::milliseconds> age;
    std::optional<std::uint64_t> size_bytes;
    bool wait_for_groups = false;
    bool enabled() const { return age || size_bytes; }
  } retention;
  // Its records are made from those of another stream, by a statement, and come from nowhere else (consumers/derived).
  // Never changes.
  struct Derived {
    StreamId source;
    Sequence from{1};  // the first record of the source that counts
    std::string sql;   // CREATE STREAM ... AS SELECT ...
  };
  std::optional<Derived> derived;
  WallTime created{};

  QualifiedName qualified_name() const { return {tenant, name}; }
};

// An archive files by shard, each with a file of its own, as long as the stream has never had more open ones than this;
// then by lane.
inline constexpr std::size_t kArchivedShardsMax = 256;

// MD5 of the key's UTF-8 bytes as a big-endian number.
HashKey hash_key(std::string_view partition_key);

// A stream that is open. Any thread. The log goes on living while somebody holds it, also after the stream's deletion.
// The definition is the one of when this was made; the shards are always those of now.
class Stream {
 public:
  Stream(StreamDefinition definition, std::shared_ptr<Log> log);
  // The same stream, with other settings.
  Stream(StreamDefinition definition, const Stream& same);
  const StreamDefinition& definition() const { return definition_; }
  const std::string& name() const { return definition_.name; }      // within its tenant
  const std::string& tenant() const { return definition_.tenant; }  // likewise: its views, its groups
  QualifiedName qualified_name() const { return definition_.qualified_name(); }
  const std::string& title() const { return title_; }  // text_of(qualified_name()), for logs
  Incarnation incarnation() const { return incarnation_; }
  Log& log() const { return *log_; }
  const std::shared_ptr<Log>& shared_log() const { return log_; }
  ShardMap& shards() const { return *shards_; }
  // For one record; who has many asks shards().now() once.
  ShardId shard_of(HashKey hash, Sequence sequence) const { return shards_->now().shown->shard_of(hash, sequence); }

 private:
  StreamDefinition definition_;
  std::string title_;
  std::shared_ptr<Log> log_;
  Incarnation incarnation_;
  std::shared_ptr<ShardMap> shards_;
};

// A name that a stream may have: [A-Za-z0-9_.-]{1,128}, not `.` or `..`.
bool valid_stream_name(std::string_view name);
// A name of ours: only the server makes such a stream and writes to it, and nobody changes, reshards or removes it. It
// is read like any other.
inline bool is_reserved_stream(std::string_view name) {
  return name.starts_with('_');
}

}  // namespace tidemill
