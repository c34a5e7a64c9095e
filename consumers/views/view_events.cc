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

}  // namespace

std::string encode_created(const ViewCreated& event) {
  std::string out;
  JsonWriter writer(out);
  writer.begin_object()
      .field("name", event.name)
      .field("stream", event.stream.value())
      .field("source", event.source)
      .field("sql", event.sql)
      .end_object();
  return out;
}

std::optional<ViewCreated> decode_created(std::string_view json) {
  dom::parser parser;
  dom::element root;
  ViewCreated event;
  std::uint64_t stream = 0;
  if (parser.parse(json.data(), json.size()).get(root) != simdjson::SUCCESS || !get_text(root, "name", event.name) ||
      root["stream"].get(stream) != simdjson::SUCCESS || !get_text(root, "source", event.source) ||
      !get_text(root, "sql", event.sql)) {
    return std::nullopt;
  }
  event.stream = StreamId(stream);
  return event;
}

std::string encode_dropped(std::string_view name) {
  std::string out;
  JsonWriter writer(out);
  writer.begin_object().field("name", name).end_object();
  return out;
}

std::optional<std::string> decode_dropped(std::string_view json) {
  dom::parser parser;
  dom::element root;
  std::string name;
  if (parser.parse(json.data(), json.size()).get(root) != simdjson::SUCCESS || !get_text(root, "name", name)) {
    return std::nullopt;
  }
  return name;
}

}  // namespace tidemill::views
