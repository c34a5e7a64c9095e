#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/stream.h"

namespace tidemill {

// StreamDefinition as the JSON of its events (docs/formats/system-stream.md). Decoding ignores names that it does not
// know and gives missing ones their defaults, so that versions can add; nullopt: not one of ours.
std::string encode_definition(const StreamDefinition& definition, Incarnation incarnation);
struct DecodedDefinition {
  StreamDefinition definition;
  Incarnation incarnation;
};
std::optional<DecodedDefinition> decode_definition(std::string_view json);
// {"id":N}, of the events that need no more.
std::string encode_id(StreamId id);
std::optional<StreamId> decode_id(std::string_view json);

// That the shards have ids of their own and the open ones cover the hash space without gap or overlap.
bool valid_shards(const std::vector<ShardDefinition>& shards);

}  // namespace tidemill
