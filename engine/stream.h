#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/base/ids.h"
#include "storage/log/log.h"

namespace tidemill {

enum class FieldType { text, integer, number };  // what CSV columns of this name become

struct ShardDefinition {
  ShardId id;
  HashRange range;
  std::vector<ShardId> parents;  // after a split or merge
  bool open = true;
};

// What a stream is, apart from its records. Lives in the system stream; changes by events there only.
struct StreamDefinition {
  StreamId id;
  std::string name;  // [A-Za-z0-9_.-]{1,128}; a leading `_` is ours
  std::string tenant = "default";
  std::string partition_key;  // name of a top-level field; empty: the request must name the key
  std::map<std::string, FieldType, std::less<>> fields;
  std::vector<ShardDefinition> shards;
  struct Archive {
    bool enabled = true;
    std::uint64_t size_bytes = 5 << 20;
    std::chrono::milliseconds age{60'000};
  } archive;
  WallTime created{};
};

// N equal ranges of the hash space, as Kinesis cuts them: floor(2^128/N) wide, the last one takes the rest.
std::vector<ShardDefinition> make_shards(std::uint32_t count);
// MD5 of the key's UTF-8 bytes as a big-endian number.
HashKey hash_key(std::string_view partition_key);

// A stream that is open. Any thread. The log goes on living while somebody holds it, also after the stream's deletion.
class Stream {
 public:
  Stream(StreamDefinition definition, std::shared_ptr<Log> log);
  const StreamDefinition& definition() const { return definition_; }
  const std::string& name() const { return definition_.name; }
  Incarnation incarnation() const { return incarnation_; }
  Log& log() const { return *log_; }
  const std::shared_ptr<Log>& shared_log() const { return log_; }
  ShardId shard_of(HashKey hash) const;  // of the open shards

 private:
  StreamDefinition definition_;
  std::shared_ptr<Log> log_;
  Incarnation incarnation_;
  std::vector<std::pair<HashKey, ShardId>> open_;  // last hash key of each open shard, ascending
};

// A name that a stream may have: [A-Za-z0-9_.-]{1,128}, not `.` or `..`.
bool valid_stream_name(std::string_view name);

}  // namespace tidemill
