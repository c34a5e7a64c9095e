#include "engine/definition.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "engine/json/writer.h"
#include "storage/base/text.h"

namespace tidemill {
namespace {

namespace dom = simdjson::dom;

constexpr std::uint64_t kShardIdsMax = 1'000'000;  // tables are indexed by them

std::optional<std::uint64_t> number_from_hex(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (text.size() != 16 || ec != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}
std::optional<HashKey> hash_from_hex(std::string_view text) {
  if (text.size() != 32) return std::nullopt;
  const auto high = number_from_hex(text.substr(0, 16));
  const auto low = number_from_hex(text.substr(16));
  if (!high || !low) return std::nullopt;
  return HashKey{*high, *low};
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
  return a.id == b.id && a.range == b.range && a.parents == b.parents && a.open == b.open;
}

bool equal_shards(const std::vector<ShardDefinition>& shards) {
  const auto wanted = make_shards(static_cast<std::uint32_t>(shards.size()));
  return std::equal(shards.begin(), shards.end(), wanted.begin(), wanted.end(), same_shard);
}

void write_shards(JsonWriter& json, const std::vector<ShardDefinition>& shards) {
  // As they are cut at creation: a number. 10,000 of them one by one would be a megabyte.
  if (equal_shards(shards)) {
    json.field("shards", static_cast<std::uint64_t>(shards.size()));
    return;
  }
  json.name("shards").begin_array();
  for (const ShardDefinition& shard : shards) {
    json.begin_object().field("id", shard.id.value());
    json.field("first", to_hex(shard.range.first)).field("last", to_hex(shard.range.last));
    json.name("parents").begin_array();
    for (const ShardId parent : shard.parents) json.value(parent.value());
    json.end_array().field("open", shard.open).end_object();
  }
  json.end_array();
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
    ShardDefinition shard;
    std::uint64_t id = 0;
    std::string_view first;
    std::string_view last;
    dom::array parents;
    if (item["id"].get(id) != simdjson::SUCCESS || item["first"].get(first) != simdjson::SUCCESS ||
        item["last"].get(last) != simdjson::SUCCESS || item["parents"].get(parents) != simdjson::SUCCESS ||
        item["open"].get(shard.open) != simdjson::SUCCESS)
      return std::nullopt;
    const auto from = hash_from_hex(first);
    const auto to = hash_from_hex(last);
    if (!from || !to) return std::nullopt;
    if (id >= kShardIdsMax) return std::nullopt;
    shard.id = ShardId(static_cast<std::uint32_t>(id));
    shard.range = {*from, *to};
    for (const dom::element parent : parents) {
      std::uint64_t parent_id = 0;
      if (parent.get(parent_id) != simdjson::SUCCESS) return std::nullopt;
      shard.parents.emplace_back(static_cast<std::uint32_t>(parent_id));
    }
    shards.push_back(std::move(shard));
  }
  if (!valid_shards(shards)) return std::nullopt;
  return shards;
}

}  // namespace

bool valid_shards(const std::vector<ShardDefinition>& shards) {
  std::set<ShardId> ids;
  std::vector<HashRange> open;
  for (const ShardDefinition& shard : shards) {
    if (shard.id.value() >= kShardIdsMax || !ids.insert(shard.id).second) return false;
    if (shard.range.last < shard.range.first) return false;
    if (shard.open) open.push_back(shard.range);
  }
  std::sort(open.begin(), open.end(), [](const HashRange& a, const HashRange& b) { return a.first < b.first; });
  HashKey expected;
  for (std::size_t i = 0; i < open.size(); ++i) {
    if (open[i].first != expected) return false;
    expected = open[i].last;
    const bool at_end = expected == kHashKeyMax;
    if (at_end != (i + 1 == open.size())) return false;
    if (++expected.low == 0) ++expected.high;
  }
  return !open.empty();
}

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
  write_shards(json, definition.shards);
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
      root["incarnation"].get(incarnation) != simdjson::SUCCESS || root["shards"].get(shards) != simdjson::SUCCESS)
    return std::nullopt;
  const auto life = number_from_hex(incarnation);
  auto cut = read_shards(shards);
  if (id == 0 || !valid_stream_name(name) || !life || !cut) return std::nullopt;
  decoded.incarnation = Incarnation(*life);
  d.id = StreamId(id);
  d.name = name;
  d.shards = std::move(*cut);
  std::string_view value;
  if (root["tenant"].get(value) == simdjson::SUCCESS) d.tenant = value;
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

}  // namespace tidemill
