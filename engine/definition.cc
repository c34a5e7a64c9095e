#include "engine/definition.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "engine/json/writer.h"
#include "storage/base/text.h"

namespace tidemill {
namespace {

namespace dom = simdjson::dom;

constexpr std::string_view kCreated = "stream.created";
constexpr std::string_view kDerived = "stream.derived";
constexpr std::string_view kCreatedInTenant = "stream.created_in_tenant";  // derived or not

std::optional<std::uint64_t> number_from_hex(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (text.size() != 16 || ec != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}
std::string_view name_of(FieldType type) {
  switch (type) {
    case FieldType::text:
      return "text";
    case FieldType::integer:
      return "integer";
    case FieldType::number:
      return "number";
  }
  return "text";
}
FieldType type_of(std::string_view name) {
  if (name == "integer") return FieldType::integer;
  if (name == "number") return FieldType::number;
  return FieldType::text;
}

bool same_shard(const ShardDefinition& a, const ShardDefinition& b) {
  return a.id == b.id && a.range == b.range && a.parents == b.parents && a.open == b.open &&
         a.first_sequence == b.first_sequence && a.last_sequence == b.last_sequence;
}

bool equal_shards(const std::vector<ShardDefinition>& shards) {
  const auto wanted = make_shards(static_cast<std::uint32_t>(shards.size()));
  return std::equal(shards.begin(), shards.end(), wanted.begin(), wanted.end(), same_shard);
}

JsonWriter& write_range(JsonWriter& json, const ShardDefinition& shard) {
  json.field("id", shard.id.value());
  return json.field("first", to_hex(shard.range.first)).field("last", to_hex(shard.range.last));
}

void write_ids(JsonWriter& json, const std::vector<ShardId>& ids) {
  json.begin_array();
  for (const ShardId id : ids) json.value(id.value());
  json.end_array();
}

void write_shards(JsonWriter& json, const std::vector<ShardDefinition>& shards) {
  // As they are cut at creation: a number. 10,000 of them one by one would be a megabyte.
  if (equal_shards(shards)) {
    json.field("shards", static_cast<std::uint64_t>(shards.size()));
    return;
  }
  json.name("shards").begin_array();
  for (const ShardDefinition& shard : shards) {
    write_range(json.begin_object(), shard);
    write_ids(json.name("parents"), shard.parents);
    json.field("open", shard.open);
    if (shard.first_sequence != Sequence(1)) json.field("first_sequence", shard.first_sequence.value());
    if (!shard.open) json.field("last_sequence", shard.last_sequence.value());
    json.end_object();
  }
  json.end_array();
}

std::optional<std::vector<ShardId>> read_ids(const dom::element& element) {
  dom::array array;
  if (element.get(array) != simdjson::SUCCESS) return std::nullopt;
  std::vector<ShardId> ids;
  for (const dom::element item : array) {
    std::uint64_t id = 0;
    if (item.get(id) != simdjson::SUCCESS || id >= kShardIdsMax) return std::nullopt;
    ids.emplace_back(static_cast<std::uint32_t>(id));
  }
  return ids;
}

// Id and range.
std::optional<ShardDefinition> read_range(const dom::element& item) {
  ShardDefinition shard;
  std::uint64_t id = 0;
  std::string_view first;
  std::string_view last;
  if (item["id"].get(id) != simdjson::SUCCESS || item["first"].get(first) != simdjson::SUCCESS ||
      item["last"].get(last) != simdjson::SUCCESS || id >= kShardIdsMax)
    return std::nullopt;
  const auto from = hash_key_from_hex(first);
  const auto to = hash_key_from_hex(last);
  if (!from || !to) return std::nullopt;
  shard.id = ShardId(static_cast<std::uint32_t>(id));
  shard.range = {*from, *to};
  return shard;
}

std::optional<std::vector<ShardDefinition>> read_shards(const dom::element& element) {
  std::uint64_t count = 0;
  if (element.get(count) == simdjson::SUCCESS) {
    if (count == 0 || count > kShardIdsMax) return std::nullopt;
    return make_shards(static_cast<std::uint32_t>(count));
  }
  dom::array array;
  if (element.get(array) != simdjson::SUCCESS) return std::nullopt;
  std::vector<ShardDefinition> shards;
  for (const dom::element item : array) {
    auto shard = read_range(item);
    dom::element parents;
    if (!shard || item["open"].get(shard->open) != simdjson::SUCCESS ||
        item["parents"].get(parents) != simdjson::SUCCESS)
      return std::nullopt;
    auto ids = read_ids(parents);
    if (!ids) return std::nullopt;
    shard->parents = std::move(*ids);
    std::uint64_t sequence = 0;
    if (item["first_sequence"].get(sequence) == simdjson::SUCCESS) shard->first_sequence = Sequence(sequence);
    if (!shard->open)
      shard->last_sequence = Sequence(item["last_sequence"].get(sequence) == simdjson::SUCCESS ? sequence : 0);
    shards.push_back(std::move(*shard));
  }
  if (!valid_shards(shards)) return std::nullopt;
  return shards;
}

}  // namespace

std::string encode_definition(const StreamDefinition& definition, Incarnation incarnation) {
  std::string out;
  JsonWriter json(out);
  json.begin_object().field("id", definition.id.value()).field("incarnation", to_hex(incarnation.value()));
  json.field("name", definition.name).field("tenant", definition.tenant);
  json.field("created", format_rfc3339(definition.created));
  json.field("partition_key", definition.partition_key);
  json.name("fields").begin_object();
  for (const auto& [name, type] : definition.fields) json.field(name, name_of(type));
  json.end_object();
  json.name("archive").begin_object().field("enabled", definition.archive.enabled);
  json.field("size_bytes", definition.archive.size_bytes);
  json.field("age_ms", static_cast<std::int64_t>(definition.archive.age.count())).end_object();
  if (const auto& r = definition.retention; r.enabled() || r.wait_for_groups) {
    json.name("retention").begin_object();
    if (r.age) json.field("age_ms", static_cast<std::int64_t>(r.age->count()));
    if (r.size_bytes) json.field("size_bytes", *r.size_bytes);
    json.field("wait_for_groups", r.wait_for_groups).end_object();
  }
  if (const auto& d = definition.derived) {
    json.name("derived").begin_object().field("source", d->source.value()).field("from", d->from.value());
    json.field("sql", d->sql).end_object();
  }
  if (!definition.shards.empty()) write_shards(json, definition.shards);
  json.end_object();
  return out;
}

std::optional<DecodedDefinition> decode_definition(std::string_view text) {
  dom::parser parser;
  dom::element root;
  if (parser.parse(text.data(), text.size()).get(root) != simdjson::SUCCESS) return std::nullopt;
  DecodedDefinition decoded;
  StreamDefinition& d = decoded.definition;
  std::uint64_t id = 0;
  std::string_view name;
  std::string_view incarnation;
  dom::element shards;
  if (root["id"].get(id) != simdjson::SUCCESS || root["name"].get(name) != simdjson::SUCCESS ||
      root["incarnation"].get(incarnation) != simdjson::SUCCESS)
    return std::nullopt;
  const auto life = number_from_hex(incarnation);
  std::optional<std::vector<ShardDefinition>> cut(std::in_place);
  if (root["shards"].get(shards) == simdjson::SUCCESS) cut = read_shards(shards);
  if (id == 0 || !valid_stream_name(name) || !life || !cut) return std::nullopt;
  decoded.incarnation = Incarnation(*life);
  d.id = StreamId(id);
  d.name = name;
  d.shards = std::move(*cut);
  std::string_view value;
  if (root["tenant"].get(value) == simdjson::SUCCESS) d.tenant = value;
  if (!valid_tenant_name(d.tenant)) return std::nullopt;
  if (root["partition_key"].get(value) == simdjson::SUCCESS) d.partition_key = value;
  if (root["created"].get(value) == simdjson::SUCCESS)
    if (const auto time = parse_rfc3339(value)) d.created = *time;
  dom::object fields;
  if (root["fields"].get(fields) == simdjson::SUCCESS)
    for (const auto [field, type] : fields)
      if (type.get(value) == simdjson::SUCCESS) d.fields.emplace(field, type_of(value));
  dom::element archive;
  if (root["archive"].get(archive) == simdjson::SUCCESS) {
    bool enabled = true;
    std::uint64_t number = 0;
    if (archive["enabled"].get(enabled) == simdjson::SUCCESS) d.archive.enabled = enabled;
    if (archive["size_bytes"].get(number) == simdjson::SUCCESS) d.archive.size_bytes = number;
    if (archive["age_ms"].get(number) == simdjson::SUCCESS) d.archive.age = std::chrono::milliseconds(number);
  }
  dom::element retention;
  if (root["retention"].get(retention) == simdjson::SUCCESS) {
    std::uint64_t number = 0;
    bool wait = false;
    if (retention["age_ms"].get(number) == simdjson::SUCCESS) d.retention.age = std::chrono::milliseconds(number);
    if (retention["size_bytes"].get(number) == simdjson::SUCCESS) d.retention.size_bytes = number;
    if (retention["wait_for_groups"].get(wait) == simdjson::SUCCESS) d.retention.wait_for_groups = wait;
  }
  dom::element derived;
  if (root["derived"].get(derived) == simdjson::SUCCESS) {
    std::uint64_t source = 0;
    std::uint64_t from = 0;
    if (derived["source"].get(source) != simdjson::SUCCESS || derived["from"].get(from) != simdjson::SUCCESS ||
        derived["sql"].get(value) != simdjson::SUCCESS || source == 0 || source >= id)
      return std::nullopt;
    d.derived = StreamDefinition::Derived{StreamId(source), Sequence(from), std::string(value)};
  }
  return decoded;
}

std::string_view creation_event(const StreamDefinition& definition) {
  if (definition.tenant != kDefaultTenant) return kCreatedInTenant;
  return definition.derived ? kDerived : kCreated;
}

std::string encode_reshard(StreamId stream, const Reshard& change) {
  std::string out;
  JsonWriter json(out);
  json.begin_object().field("id", stream.value()).field("at", change.at.value());
  write_ids(json.name("closed"), change.closed);
  json.name("opened").begin_array();
  for (const ShardDefinition& shard : change.opened) write_range(json.begin_object(), shard).end_object();
  json.end_array().end_object();
  return out;
}

std::optional<DecodedReshard> decode_reshard(std::string_view text) {
  dom::parser parser;
  dom::element root;
  std::uint64_t id = 0;
  std::uint64_t at = 0;
  dom::element closed;
  dom::array opened;
  if (parser.parse(text.data(), text.size()).get(root) != simdjson::SUCCESS ||
      root["id"].get(id) != simdjson::SUCCESS || root["at"].get(at) != simdjson::SUCCESS ||
      root["closed"].get(closed) != simdjson::SUCCESS || root["opened"].get(opened) != simdjson::SUCCESS || id == 0)
    return std::nullopt;
  DecodedReshard decoded;
  decoded.stream = StreamId(id);
  decoded.change.at = Sequence(at);
  auto ids = read_ids(closed);
  if (!ids) return std::nullopt;
  decoded.change.closed = std::move(*ids);
  for (const dom::element item : opened) {
    auto shard = read_range(item);
    if (!shard) return std::nullopt;
    decoded.change.opened.push_back(std::move(*shard));
  }
  return decoded;
}

std::string encode_id(StreamId id) {
  return "{\"id\":" + std::to_string(id.value()) + "}";
}

std::optional<StreamId> decode_id(std::string_view text) {
  dom::parser parser;
  std::uint64_t id = 0;
  if (parser.parse(text.data(), text.size())["id"].get(id) != simdjson::SUCCESS || id == 0) return std::nullopt;
  return StreamId(id);
}

bool KnownStreams::fold(std::string_view type, std::string_view json) {
  if (type == "stream.creating" || type == "stream.removed") {
    const auto id = decode_id(json);
    if (!id) return false;
    last = std::max(last, *id);
    streams.erase(*id);
    unfinished.insert(*id);
    return true;
  }
  const bool derived = type == kDerived;
  if (derived || type == kCreated || type == kCreatedInTenant || type == "stream.changed") {
    auto decoded = decode_definition(json);
    if (!decoded || (derived && !decoded->definition.derived)) return false;
    const StreamId id = decoded->definition.id;
    auto& shards = decoded->definition.shards;
    if (const auto before = streams.find(id); shards.empty() && before != streams.end())
      shards = std::move(before->second.definition.shards);
    if (shards.empty()) return false;
    last = std::max(last, id);
    unfinished.erase(id);
    streams[id] = {std::move(decoded->definition), decoded->incarnation};
    return true;
  }
  if (type != "stream.resharded") return false;
  const auto decoded = decode_reshard(json);
  const auto known = decoded ? streams.find(decoded->stream) : streams.end();
  return known != streams.end() && apply_reshard(known->second.definition.shards, decoded->change);
}

}  // namespace tidemill
