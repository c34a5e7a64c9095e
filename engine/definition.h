#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "engine/stream.h"

namespace tidemill {

// StreamDefinition as the JSON of its events (docs/formats/system-stream.md). Decoding ignores names that it does not
// know and gives missing ones their defaults, so that versions can add; nullopt: not one of ours.
// Without shards where `shards` is empty: settings that change leave them as they are.
std::string encode_definition(const StreamDefinition& definition, Incarnation incarnation);
struct DecodedDefinition {
  StreamDefinition definition;
  Incarnation incarnation;
};
std::optional<DecodedDefinition> decode_definition(std::string_view json);
// The type of the event that creates it. One of its own at which a version that could not do right by it stops: one
// that knows of no derived streams would take records into it, and forget how far it is; one that knows of no tenants
// would show it to everybody, and take two of one name for one.
std::string_view creation_event(const StreamDefinition& definition);
// A split or merge of a stream's shards.
struct DecodedReshard {
  StreamId stream;
  Reshard change;
};
std::string encode_reshard(StreamId stream, const Reshard& change);
std::optional<DecodedReshard> decode_reshard(std::string_view json);

// What all `stream.*` events say, folded one after the other.
struct KnownStreams {
  struct Known {
    StreamDefinition definition;
    Incarnation incarnation;
  };
  std::map<StreamId, Known> streams;
  std::set<StreamId> unfinished;  // begun and never created, or removed: their files may go
  StreamId last;                  // the greatest id so far
  // False: not an event of this version. It must not be passed over: a stream whose creation is not understood would
  // look like one that was never finished.
  [[nodiscard]] bool fold(std::string_view type, std::string_view json);
};

// {"id":N}, of the events that need no more.
std::string encode_id(StreamId id);
std::optional<StreamId> decode_id(std::string_view json);

}  // namespace tidemill
