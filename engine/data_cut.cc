#include "engine/data_cut.h"

#include <simdjson.h>

#include <charconv>

#include "engine/json/writer.h"
#include "storage/base/text.h"

namespace tidemill {
namespace {

namespace dom = simdjson::dom;

std::optional<StreamCut> decode_stream(const dom::element& json) {
  StreamCut cut;
  std::string_view name, incarnation;
  std::uint64_t id = 0, epoch = 0, first = 0, last = 0, end = 0;
  dom::array segments;
  const bool ok = json["id"].get(id) == simdjson::SUCCESS && json["name"].get(name) == simdjson::SUCCESS &&
                  json["incarnation"].get(incarnation) == simdjson::SUCCESS &&
                  json["epoch"].get(epoch) == simdjson::SUCCESS && json["first"].get(first) == simdjson::SUCCESS &&
                  json["last"].get(last) == simdjson::SUCCESS && json["end"].get(end) == simdjson::SUCCESS &&
                  json["segments"].get(segments) == simdjson::SUCCESS;
  if (!ok || epoch > ~0u || incarnation.size() != 16) return std::nullopt;
  std::uint64_t number = 0;
  const auto [stop, error] = std::from_chars(incarnation.data(), incarnation.data() + 16, number, 16);
  if (error != std::errc() || stop != incarnation.data() + 16) return std::nullopt;
  cut.id = StreamId(id);
  cut.name = name;
  cut.log = {Incarnation(number), Epoch(static_cast<std::uint32_t>(epoch)), Sequence(first), Sequence(last), {},
             ByteOffset(end)};
  for (const dom::element segment : segments) {
    std::string_view file;
    if (segment.get(file) != simdjson::SUCCESS) return std::nullopt;
    const auto parsed = parse_segment_file_name(file);
    if (!parsed) return std::nullopt;
    cut.log.segments.push_back(*parsed);
  }
  if (cut.log.segments.empty()) return std::nullopt;
  return cut;
}

}  // namespace

std::string encode_cut(const DataCut& cut) {
  std::string out;
  JsonWriter json(out);
  json.begin_object().field("instance", cut.instance).name("streams").begin_array();
  for (const StreamCut& s : cut.streams) {
    json.begin_object().field("id", s.id.value()).field("name", s.name);
    json.field("incarnation", to_hex(s.log.incarnation.value())).field("epoch", s.log.epoch.value());
    json.field("first", s.log.start.value()).field("last", s.log.last.value()).field("end", s.log.end.value());
    json.name("segments").begin_array();
    for (const SegmentName& name : s.log.segments) json.value(segment_file_name(name));
    json.end_array().end_object();
  }
  json.end_array().end_object();
  return out;
}

std::optional<DataCut> decode_cut(std::string_view text) {
  dom::parser parser;
  dom::element root;
  std::string_view instance;
  dom::array streams;
  if (parser.parse(text.data(), text.size()).get(root) != simdjson::SUCCESS ||
      root["instance"].get(instance) != simdjson::SUCCESS || root["streams"].get(streams) != simdjson::SUCCESS)
    return std::nullopt;
  DataCut cut;
  cut.instance = instance;
  for (const dom::element stream : streams) {
    auto one = decode_stream(stream);
    if (!one) return std::nullopt;
    cut.streams.push_back(std::move(*one));
  }
  if (cut.streams.empty() || cut.streams.front().id != StreamId(0)) return std::nullopt;
  return cut;
}

}  // namespace tidemill
