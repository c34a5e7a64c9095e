#include "engine/limits/limit_events.h"

#include <simdjson.h>

#include "engine/json/writer.h"

namespace tidemill {
namespace {

namespace dom = simdjson::dom;

void write_owner(JsonWriter& json, const LimitOwner& owner) {
  owner.key ? json.field("key", to_text(*owner.key)) : json.field("tenant", owner.tenant);
}

void write_by(JsonWriter& json, const std::optional<KeyId>& by) {
  if (by) json.field("by", to_text(*by));
}

bool get_owner(const dom::element& root, LimitOwner& out) {
  std::string_view text;
  if (root["key"].get(text) == simdjson::SUCCESS) {
    out.key = parse_key_id(text);
    return out.key.has_value();
  }
  if (root["tenant"].get(text) != simdjson::SUCCESS || text.empty()) return false;
  out.tenant = text;
  return true;
}

std::optional<KeyId> get_by(const dom::element& root) {
  std::string_view text;
  return root["by"].get(text) == simdjson::SUCCESS ? parse_key_id(text) : std::nullopt;
}

}  // namespace

std::string encode(const LimitsSet& event) {
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  write_owner(json, event.owner);
  json.name("limits");
  write_limits(json, event.limits);
  write_by(json, event.by);
  json.end_object();
  return out;
}

std::string encode(const LimitsRemoved& event) {
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  write_owner(json, event.owner);
  write_by(json, event.by);
  json.end_object();
  return out;
}

std::optional<LimitsSet> decode_limits_set(std::string_view text) {
  dom::parser parser;
  dom::element root, limits;
  LimitsSet event;
  if (parser.parse(text.data(), text.size()).get(root) != simdjson::SUCCESS || !root.is_object() ||
      !get_owner(root, event.owner) || root["limits"].get(limits) != simdjson::SUCCESS)
    return std::nullopt;
  event.by = get_by(root);
  auto parsed = parse_limits(simdjson::minify(limits), !event.owner.key);
  if (!std::holds_alternative<LimitSet>(parsed)) return std::nullopt;
  event.limits = std::get<LimitSet>(parsed);
  return event;
}

std::optional<LimitsRemoved> decode_limits_removed(std::string_view text) {
  dom::parser parser;
  dom::element root;
  LimitsRemoved event;
  if (parser.parse(text.data(), text.size()).get(root) != simdjson::SUCCESS || !root.is_object() ||
      !get_owner(root, event.owner))
    return std::nullopt;
  event.by = get_by(root);
  return event;
}

}  // namespace tidemill
