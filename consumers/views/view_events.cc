#include "consumers/views/view_events.h"

#include <simdjson.h>

#include "engine/json/writer.h"

namespace tidemill::views {
namespace {

namespace dom = simdjson::dom;

bool get_text(const dom::element& object, std::string_view name, std::string& out) {
  std::string_view text;
  if (object[name].get(text) != simdjson::SUCCESS) return false;
  out = text;
  return true;
}

JsonWriter& write_name(JsonWriter& writer, const QualifiedName& name) {
  writer.field("name", name.name);
  return name.tenant == kDefaultTenant ? writer : writer.field("tenant", name.tenant);
}

bool get_name(const dom::element& object, QualifiedName& out) {
  if (!get_text(object, "name", out.name)) return false;
  if (!get_text(object, "tenant", out.tenant)) out.tenant = kDefaultTenant;
  return valid_tenant_name(out.tenant);
}

}  // namespace

std::string encode_created(const ViewCreated& event) {
  std::string out;
  JsonWriter writer(out);
  write_name(writer.begin_object(), event.name)
      .field("stream", event.stream.value())
      .field("source", event.source)
      .field("sql", event.sql);
  if (event.from != Sequence(1)) writer.field("from", event.from.value());
  if (event.built != 0) writer.field("built", event.built);
  writer.end_object();
  return out;
}

std::optional<ViewCreated> decode_created(std::string_view json) {
  dom::parser parser;
  dom::element root;
  ViewCreated event;
  std::uint64_t stream = 0;
  if (parser.parse(json.data(), json.size()).get(root) != simdjson::SUCCESS || !get_name(root, event.name) ||
      root["stream"].get(stream) != simdjson::SUCCESS || !get_text(root, "source", event.source) ||
      !get_text(root, "sql", event.sql)) {
    return std::nullopt;
  }
  event.stream = StreamId(stream);
  std::uint64_t from = 1;
  if (root["from"].get(from) == simdjson::SUCCESS) event.from = Sequence(from);
  if (root["built"].get(event.built) != simdjson::SUCCESS) event.built = 0;
  return event;
}

std::string encode_dropped(const QualifiedName& name) {
  std::string out;
  JsonWriter writer(out);
  write_name(writer.begin_object(), name).end_object();
  return out;
}

std::optional<QualifiedName> decode_dropped(std::string_view json) {
  dom::parser parser;
  dom::element root;
  QualifiedName name;
  if (parser.parse(json.data(), json.size()).get(root) != simdjson::SUCCESS || !get_name(root, name)) {
    return std::nullopt;
  }
  return name;
}

std::string_view name_of(Decision::Kind kind) {
  switch (kind) {
    case Decision::Kind::skip:
      return "skip";
    case Decision::Kind::redrive:
      return "redrive";
    case Decision::Kind::edit:
      return "edit";
  }
  return {};
}

std::optional<Decision::Kind> decision_named(std::string_view name) {
  for (const auto kind : {Decision::Kind::skip, Decision::Kind::redrive, Decision::Kind::edit})
    if (name == name_of(kind)) return kind;
  return std::nullopt;
}

std::string encode_decided(const ViewDecided& event) {
  std::string out;
  JsonWriter writer(out);
  write_name(writer.begin_object(), event.name).field("decision", name_of(event.decision.kind));
  writer.name("sequences").begin_array();
  for (const Sequence s : event.sequences) writer.value(s.value());
  writer.end_array();
  if (event.decision.kind == Decision::Kind::edit) writer.field("data", event.decision.data);
  writer.end_object();
  return out;
}

std::optional<ViewDecided> decode_decided(std::string_view json) {
  dom::parser parser;
  dom::element root;
  dom::array sequences;
  std::string word;
  ViewDecided event;
  if (parser.parse(json.data(), json.size()).get(root) != simdjson::SUCCESS || !get_name(root, event.name) ||
      !get_text(root, "decision", word) || root["sequences"].get(sequences) != simdjson::SUCCESS) {
    return std::nullopt;
  }
  const auto kind = decision_named(word);
  if (!kind) return std::nullopt;
  event.decision.kind = *kind;
  if (*kind == Decision::Kind::edit && !get_text(root, "data", event.decision.data)) return std::nullopt;
  for (const dom::element e : sequences) {
    std::uint64_t sequence = 0;
    if (e.get(sequence) != simdjson::SUCCESS) return std::nullopt;
    event.sequences.emplace_back(sequence);
  }
  return event;
}

}  // namespace tidemill::views
