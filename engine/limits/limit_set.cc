#include "engine/limits/limit_set.h"

#include <simdjson.h>

#include <algorithm>
#include <vector>

#include "engine/json/writer.h"

namespace tidemill {
namespace {

namespace dom = simdjson::dom;

std::string ticked(std::string_view name) {
  return "`" + std::string(name.substr(0, 60)) + "`";
}

std::string with_commas(std::uint64_t n) {
  std::string text = std::to_string(n);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

// Whether it was there before. Few names are known, and the first that is not known ends it.
bool repeated(std::vector<std::string_view>& seen, std::string_view name) {
  if (std::find(seen.begin(), seen.end(), name) != seen.end()) return true;
  seen.push_back(name);
  return false;
}

// Empty: it was set.
std::string set(const dom::element& value, const std::string& name, std::uint64_t least, std::uint64_t most,
                std::optional<std::uint64_t>& out) {
  std::uint64_t n = 0;
  if (value.get(n) != simdjson::SUCCESS || n < least || n > most)
    return ticked(name) + " is a whole number from " + with_commas(least) + " to " + with_commas(most) + ".";
  out = n;
  return {};
}

std::string parse_measure(const dom::element& value, const std::string& measure, LimitSet::Of& out) {
  dom::object fields;
  if (value.get(fields) != simdjson::SUCCESS)
    return ticked(measure) + " is an object, such as {\"per_second\":100,\"burst\":200,\"per_day\":1000000}.";
  std::optional<std::uint64_t> per_second, burst;
  std::vector<std::string_view> seen;
  for (const auto& [key, field] : fields) {
    const std::string name = measure + "." + std::string(key);
    if (repeated(seen, key)) return ticked(name) + " comes twice.";
    std::string wrong;
    if (key == "per_second") {
      wrong = set(field, name, 1, kRateMax, per_second);
    } else if (key == "burst") {
      wrong = set(field, name, 1, kRateMax * 86'400, burst);
    } else if (key == "per_day") {
      wrong = set(field, name, 0, kMostMax, out.per_day);
    } else if (key == "per_month") {
      wrong = set(field, name, 0, kMostMax, out.per_month);
    } else {
      wrong = ticked(name) + " is not known here; there are per_second, burst, per_day and per_month.";
    }
    if (!wrong.empty()) return wrong;
  }
  if (burst && !per_second)
    return ticked(measure + ".burst") + " needs " + measure + ".per_second: a burst is of a rate.";
  if (burst && *burst > *per_second * 86'400)
    return ticked(measure + ".burst") + " is at most what a day brings at the rate: use per_day for longer.";
  if (per_second) out.rate = Rate{*per_second, burst.value_or(*per_second)};
  return {};
}

}  // namespace

std::string_view measure_name(Measure measure) {
  static constexpr std::array<std::string_view, kMeasures> kNames{"requests", "records", "bytes"};
  return kNames[static_cast<std::size_t>(measure)];
}

bool LimitSet::has_quota() const {
  return std::any_of(of.begin(), of.end(), [](const Of& one) { return one.per_day || one.per_month; });
}

void write_limits(JsonWriter& json, const LimitSet& limits) {
  json.begin_object();
  for (const Measure measure : kAllMeasures) {
    const LimitSet::Of& of = limits[measure];
    if (!of.any()) continue;
    json.name(measure_name(measure)).begin_object();
    if (of.rate) json.field("per_second", of.rate->per_second).field("burst", of.rate->burst);
    if (of.per_day) json.field("per_day", *of.per_day);
    if (of.per_month) json.field("per_month", *of.per_month);
    json.end_object();
  }
  if (limits.connections) json.field("connections", *limits.connections);
  if (limits.streams) json.field("streams", *limits.streams);
  if (limits.disk_bytes) json.field("disk_bytes", *limits.disk_bytes);
  json.end_object();
}

std::variant<LimitSet, std::string> parse_limits(std::string_view text, bool of_tenant) {
  dom::parser parser;
  dom::object fields;
  if (parser.parse(text.data(), text.size()).get(fields) != simdjson::SUCCESS)
    return "The limits are a JSON object, such as {\"requests\":{\"per_second\":100}}.";
  LimitSet limits;
  std::vector<std::string_view> seen;
  for (const auto& [key, value] : fields) {
    if (repeated(seen, key)) return ticked(key) + " comes twice.";
    const std::string name(key);
    const auto measure =
        std::find_if(kAllMeasures.begin(), kAllMeasures.end(), [&](Measure m) { return measure_name(m) == name; });
    std::string wrong;
    if (measure != kAllMeasures.end()) {
      wrong = parse_measure(value, name, limits[*measure]);
    } else if (name == "connections") {
      wrong = set(value, name, 1, kMostMax, limits.connections);
    } else if (of_tenant && name == "streams") {
      wrong = set(value, name, 0, kMostMax, limits.streams);
    } else if (of_tenant && name == "disk_bytes") {
      wrong = set(value, name, 0, kMostMax, limits.disk_bytes);
    } else if (name == "streams" || name == "disk_bytes") {
      wrong = ticked(name) + " is limited for a tenant, not for a key.";
    } else {
      wrong = ticked(name) +
              " is not known here; there are requests, records, bytes, connections, and for a tenant "
              "streams and disk_bytes.";
    }
    if (!wrong.empty()) return wrong;
  }
  return limits;
}

}  // namespace tidemill
