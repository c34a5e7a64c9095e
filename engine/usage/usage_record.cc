#include "engine/usage/usage_record.h"

#include <simdjson.h>

#include "engine/json/writer.h"

namespace tidemill {
namespace {

using std::chrono::hours;

// 2026-11-22T13:00:00Z: of a whole hour no more is worth its bytes.
std::string hour_text(WallTime hour) {
  return format_rfc3339(std::chrono::floor<hours>(hour)).substr(0, 19) + "Z";
}

}  // namespace

void encode_usage(std::string& out, const UsageDelta& delta) {
  JsonWriter json(out);
  json.begin_object().field("key", to_text(delta.key)).field("hour", hour_text(delta.hour));
  json.field("requests", delta.counts.requests).field("records", delta.counts.records);
  json.field("bytes", delta.counts.bytes).field("refused", delta.counts.refused).end_object();
}

struct UsageReader::Impl {
  simdjson::dom::parser parser;
};

UsageReader::UsageReader() : impl_(std::make_unique<Impl>()) {}
UsageReader::~UsageReader() = default;

// All of it must be there: a count that is missing would be a quota that is too large, and nobody would know.
std::optional<UsageDelta> UsageReader::read(std::string_view text) {
  using simdjson::SUCCESS;
  simdjson::dom::element root;
  std::string_view key;
  std::string_view hour;
  UsageDelta delta;
  if (impl_->parser.parse(text.data(), text.size()).get(root) != SUCCESS || root["key"].get(key) != SUCCESS ||
      root["hour"].get(hour) != SUCCESS || root["requests"].get(delta.counts.requests) != SUCCESS ||
      root["records"].get(delta.counts.records) != SUCCESS || root["bytes"].get(delta.counts.bytes) != SUCCESS ||
      root["refused"].get(delta.counts.refused) != SUCCESS)
    return std::nullopt;
  const auto id = parse_key_id(key);
  const auto time = parse_rfc3339(hour);
  if (!id || !time || *time != std::chrono::floor<hours>(*time)) return std::nullopt;
  delta.key = *id;
  delta.hour = *time;
  return delta;
}

}  // namespace tidemill
