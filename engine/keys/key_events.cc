#include "engine/keys/key_events.h"

#include <simdjson.h>

#include "engine/json/writer.h"
#include "storage/base/text.h"

namespace tidemill {
namespace {

namespace dom = simdjson::dom;

bool get(const dom::element& object, std::string_view name, std::string& out) {
  std::string_view text;
  if (object[name].get(text) != simdjson::SUCCESS) return false;
  out = text;
  return true;
}

bool get(const dom::element& object, std::string_view name, WallTime& out) {
  std::string_view text;
  if (object[name].get(text) != simdjson::SUCCESS) return false;
  const auto time = parse_rfc3339(text);
  if (time) out = *time;
  return time.has_value();
}

bool get(const dom::element& object, std::string_view name, KeyId& out) {
  std::string_view text;
  if (object[name].get(text) != simdjson::SUCCESS) return false;
  const auto id = parse_key_id(text);
  if (id) out = *id;
  return id.has_value();
}

bool get(const dom::element& object, std::string_view name, KeyHash& out) {
  std::string_view text;
  if (object[name].get(text) != simdjson::SUCCESS) return false;
  const auto hash = parse_hash(text);
  if (hash) out = *hash;
  return hash.has_value();
}

bool has(const dom::element& object, std::string_view name) {
  return object[name].error() == simdjson::SUCCESS;
}

std::optional<KeyId> get_by(const dom::element& object) {
  KeyId id;
  return get(object, "by", id) ? std::optional(id) : std::nullopt;
}

// One of the two, whole.
bool get_proof(const dom::element& object, KeyProof& out) {
  std::string_view text;
  if (object["sha256"].get(text) == simdjson::SUCCESS) {
    out.hash = parse_hash(text);
    return out.hash.has_value();
  }
  if (object["sealed"].get(text) != simdjson::SUCCESS) return false;
  auto bytes = from_hex(text);
  if (!bytes || bytes->empty()) return false;
  out.sealed = std::move(*bytes);
  return true;
}

void write_proof(JsonWriter& json, const KeyProof& proof) {
  if (proof.hash) {
    json.field("sha256", hex_of(*proof.hash));
  } else {
    json.field("sealed", to_hex(proof.sealed));
  }
}

void write_by(JsonWriter& json, const std::optional<KeyId>& by) {
  if (by) json.field("by", to_text(*by));
}

}  // namespace

std::string encode(const KeyCreated& event) {
  const KeyRecord& key = event.key;
  std::string out;
  JsonWriter json(out);
  json.begin_object().field("id", to_text(key.id)).field("kind", key_kind_name(key.kind)).field("name", key.name);
  json.field("tenant", key.tenant).name("scopes").begin_array();
  for (const Scope& scope : key.scopes) json.value(scope_text(scope));
  json.end_array().field("created", format_rfc3339(key.created));
  if (key.expires) json.field("expires", format_rfc3339(*key.expires));
  write_proof(json, event.proof);
  write_by(json, event.by);
  json.end_object();
  return out;
}

std::string encode(const KeyRotated& event) {
  std::string out;
  JsonWriter json(out);
  json.begin_object().field("id", to_text(event.id)).field("older_until", format_rfc3339(event.older_until));
  write_proof(json, event.proof);
  write_by(json, event.by);
  json.end_object();
  return out;
}

std::string encode(const KeyRevoked& event) {
  std::string out;
  JsonWriter json(out);
  json.begin_object().field("id", to_text(event.id)).field("revoked", format_rfc3339(event.at));
  write_by(json, event.by);
  json.end_object();
  return out;
}

std::string encode(const KeyBound& event) {
  const KeyCertificate& c = event.certificate;
  std::string out;
  JsonWriter json(out);
  json.begin_object().field("id", to_text(event.id)).field("certificate", hex_of(c.sha256));
  json.field("subject", c.subject).field("expires", format_rfc3339(c.expires)).field("bound", format_rfc3339(c.bound));
  write_by(json, event.by);
  json.end_object();
  return out;
}

std::string encode(const KeyUnbound& event) {
  std::string out;
  JsonWriter json(out);
  json.begin_object().field("id", to_text(event.id)).field("certificate", hex_of(event.sha256));
  json.field("unbound", format_rfc3339(event.at));
  write_by(json, event.by);
  json.end_object();
  return out;
}

std::string encode(const KeysUsed& event) {
  std::string out;
  JsonWriter json(out);
  json.begin_object().name("used").begin_object();
  for (const auto& [id, minute] : event.minutes) json.field(to_text(id), minute);
  json.end_object().end_object();
  return out;
}

struct KeyEventReader::Parser {
  dom::parser parser;
  bool parse(std::string_view json, dom::element& root) {
    return parser.parse(json.data(), json.size()).get(root) == simdjson::SUCCESS && root.is_object();
  }
};
KeyEventReader::KeyEventReader() : parser_(std::make_unique<Parser>()) {}
KeyEventReader::~KeyEventReader() = default;

std::optional<KeyCreated> KeyEventReader::created(std::string_view json) {
  dom::element root;
  KeyCreated event;
  KeyRecord& key = event.key;
  std::string kind;
  dom::array scopes;
  if (!parser_->parse(json, root) || !get(root, "id", key.id) || !get(root, "kind", kind) ||
      !get(root, "name", key.name) || !get(root, "tenant", key.tenant) ||
      root["scopes"].get(scopes) != simdjson::SUCCESS || !get(root, "created", key.created) ||
      !get_proof(root, event.proof) || key.name.size() > 255)
    return std::nullopt;
  if (kind != key_kind_name(KeyKind::api) && kind != key_kind_name(KeyKind::aws)) return std::nullopt;
  key.kind = kind == key_kind_name(KeyKind::api) ? KeyKind::api : KeyKind::aws;
  if ((key.kind == KeyKind::api) != event.proof.hash.has_value()) return std::nullopt;
  for (const dom::element e : scopes) {
    std::string_view text;
    if (e.get(text) != simdjson::SUCCESS) return std::nullopt;
    auto scope = parse_scope(text);
    if (!scope) return std::nullopt;
    key.scopes.push_back(std::move(*scope));
  }
  if (has(root, "expires") && !get(root, "expires", key.expires.emplace())) return std::nullopt;
  event.by = get_by(root);
  return event;
}

std::optional<KeyRotated> KeyEventReader::rotated(std::string_view json) {
  dom::element root;
  KeyRotated event;
  if (!parser_->parse(json, root) || !get(root, "id", event.id) || !get(root, "older_until", event.older_until) ||
      !get_proof(root, event.proof))
    return std::nullopt;
  event.by = get_by(root);
  return event;
}

std::optional<KeyRevoked> KeyEventReader::revoked(std::string_view json) {
  dom::element root;
  KeyRevoked event;
  if (!parser_->parse(json, root) || !get(root, "id", event.id) || !get(root, "revoked", event.at)) return std::nullopt;
  event.by = get_by(root);
  return event;
}

std::optional<KeyBound> KeyEventReader::bound(std::string_view json) {
  dom::element root;
  KeyBound event;
  KeyCertificate& c = event.certificate;
  if (!parser_->parse(json, root) || !get(root, "id", event.id) || !get(root, "certificate", c.sha256) ||
      !get(root, "subject", c.subject) || !get(root, "expires", c.expires) || !get(root, "bound", c.bound))
    return std::nullopt;
  event.by = get_by(root);
  return event;
}

std::optional<KeyUnbound> KeyEventReader::unbound(std::string_view json) {
  dom::element root;
  KeyUnbound event;
  if (!parser_->parse(json, root) || !get(root, "id", event.id) || !get(root, "certificate", event.sha256) ||
      !get(root, "unbound", event.at))
    return std::nullopt;
  event.by = get_by(root);
  return event;
}

std::optional<KeysUsed> KeyEventReader::used(std::string_view json) {
  dom::element root;
  dom::object minutes;
  KeysUsed event;
  if (!parser_->parse(json, root) || root["used"].get(minutes) != simdjson::SUCCESS) return std::nullopt;
  for (const auto& [name, value] : minutes) {
    const auto id = parse_key_id(name);
    std::uint64_t minute = 0;
    if (!id || value.get(minute) != simdjson::SUCCESS || minute > ~0u) return std::nullopt;
    event.minutes.emplace_back(*id, static_cast<std::uint32_t>(minute));
  }
  return event;
}

}  // namespace tidemill
