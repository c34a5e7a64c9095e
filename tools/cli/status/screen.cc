#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/cli/config/config.h"
#include "tools/cli/load/display.h"
#include "tools/cli/output.h"
#include "tools/cli/statement.h"
#include "tools/cli/status/report.h"

namespace tidemill::cli {
namespace {

using Json = nlohmann::ordered_json;
using Rows = std::vector<std::vector<Cell>>;

std::string text_of(double value, const char* format) {
  char text[48];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

// 512 B, 1.5 kB, 78.4 GB
std::string size(double bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  std::size_t unit = 0;
  for (; bytes >= 999.95 && unit < std::size(kUnits) - 1; ++unit) bytes /= 1000;
  return text_of(bytes, unit == 0 ? "%.0f " : "%.1f ") + kUnits[unit];
}

double number(const Json& object, const char* name) {
  const auto it = object.find(name);
  return it != object.end() && it->is_number() ? it->get<double>() : 0;
}

// ? where the server cannot say.
Cell seconds(const Json& object, const char* name) {
  const auto it = object.find(name);
  if (it != object.end() && it->is_null()) return {"?", true};
  return {text_of(number(object, name), "%.1f"), true};
}

Cell count(double n) {
  return {with_commas(static_cast<std::uint64_t>(n)), true};
}

// 4, or 4 + 2 closed: those that were split or merged.
Cell shards(const Json& stream) {
  const double closed = number(stream, "closed_shards");
  return {with_commas(static_cast<std::uint64_t>(number(stream, "shards"))) +
              (closed > 0 ? " + " + with_commas(static_cast<std::uint64_t>(closed)) + " closed" : ""),
          true};
}

// off; 7d, 10GiB; with what it is doing, where that is not its work.
std::string retention(const Json& stream) {
  const auto it = stream.find("retention");
  if (it == stream.end() || !it->is_object()) return {};
  std::string out;
  if (const double age = number(*it, "age_seconds"); age > 0)
    out = format_duration(std::chrono::milliseconds(std::llround(age * 1000)));
  if (const double bytes = number(*it, "size_bytes"); bytes > 0)
    out += (out.empty() ? "" : ", ") + format_size(static_cast<std::uint64_t>(bytes));
  if (out.empty()) return "off";
  if (const auto paused = it->find("paused"); paused != it->end() && paused->is_string()) out += " (paused)";
  if (const auto held = it->find("held"); held != it->end() && held->is_string()) out += " (held)";
  return out;
}

std::string disk_line(const ServerFacts& facts) {
  const Scrape& m = facts.metrics;
  std::string out = "disk: log " + size(m.sum("tidemill_log_bytes")) + ", views " +
                    size(m.value("tidemill_rocksdb_file_bytes").value_or(0)) + ", archive " +
                    size(m.sum("tidemill_archive_bytes"));
  const auto free = m.value("tidemill_disk_free_bytes");
  const auto total = m.value("tidemill_disk_size_bytes");
  if (free && total && *total > 0)
    out += ", " + size(*free) + " of " + size(*total) + " free (" + text_of(*free / *total * 100, "%.0f") + " %)";
  const auto flush = m.value("tidemill_disk_flush_median_seconds");
  const auto longest = m.value("tidemill_disk_flush_max_seconds");
  if (flush && longest)
    out += "; a flush took " + text_of(*flush * 1e3, "%.2f") + " ms at the start, at most " +
           text_of(*longest * 1e3, "%.2f");
  return out + "\n";
}

}  // namespace

std::string screen(const ServerFacts& facts, const std::vector<std::string>& troubles, std::size_t width) {
  std::string out = "tidemill at " + facts.address + ": " + (facts.ready ? "ready" : "views are catching up") +
                    (facts.ingest.empty() ? "" : ", takes no records") + "\n" + disk_line(facts);
  if (facts.metrics.value("tidemill_keys_bytes") && facts.metrics.sum("tidemill_keys") == 0)
    out += "keys: none, so whoever reaches the server may do everything; `tidemill keys create` makes the first\n";
  out += "\n";
  Rows rows;
  for (const Json& s : facts.streams) {
    const std::string name = s.value("name", "");
    const auto rate = facts.rates.find(name);
    rows.push_back({{name, false},
                    count(number(s, "last_sequence")),
                    count(rate == facts.rates.end() ? 0 : rate->second),
                    {size(number(s, "bytes")), true},
                    shards(s),
                    count(number(s, "first_sequence")),
                    {retention(s), false}});
  }
  out += format_table({"stream", "records", "records/s", "log", "shards", "begins at", "retention"}, rows, width);
  rows.clear();
  for (const Json& g : facts.groups) {
    const auto error = g.find("last_error");
    rows.push_back({{g.value("name", ""), false},
                    count(number(g, "lag_records")),
                    seconds(g, "lag_seconds"),
                    {error != g.end() && error->is_object() ? error->value("message", "") : "", false}});
  }
  out += "\n" + format_table({"group", "lag records", "lag seconds", "last error"}, rows, width);
  rows.clear();
  for (const Json& v : facts.views)
    rows.push_back({{v.value("name", ""), false},
                    count(number(v, "rows")),
                    count(number(v, "parked")),
                    seconds(v, "freshness_seconds"),
                    {v.value("ready", true) ? "yes" : "no", false},
                    {building_text(v), false}});
  for (const Json& v : facts.failed_views)
    rows.push_back({{v.value("name", ""), false}, {"", true}, {"", true}, {"", true}, {"failed", false}, {}});
  const bool building = std::any_of(rows.begin(), rows.end(), [](const auto& row) { return !row[5].text.empty(); });
  std::vector<std::string> names{"view", "rows", "parked", "lag seconds", "ready", "being built"};
  if (!building) {
    names.pop_back();
    for (auto& row : rows) row.pop_back();
  }
  if (!rows.empty()) out += "\n" + format_table(names, rows, width);
  for (const std::string& trouble : troubles) out += (&trouble == &troubles.front() ? "\n! " : "! ") + trouble + "\n";
  return out;
}

Json report_json(const ServerFacts& facts, const std::vector<std::string>& troubles) {
  const Scrape& m = facts.metrics;
  Json disk{{"log_bytes", static_cast<std::uint64_t>(m.sum("tidemill_log_bytes"))},
            {"views_bytes", static_cast<std::uint64_t>(m.value("tidemill_rocksdb_file_bytes").value_or(0))},
            {"archive_bytes", static_cast<std::uint64_t>(m.sum("tidemill_archive_bytes"))}};
  for (const char* name : {"free_bytes", "size_bytes"})
    if (const auto value = m.value(std::string("tidemill_disk_") + name))
      disk[name] = static_cast<std::uint64_t>(*value);
  for (const char* name : {"flush_median_seconds", "flush_max_seconds"})
    if (const auto value = m.value(std::string("tidemill_disk_") + name)) disk[name] = *value;
  return {{"ready", facts.ready},
          {"ingest", facts.ingest.empty()},
          {"disk", std::move(disk)},
          {"streams", facts.streams},
          {"groups", facts.groups},
          {"views", facts.views},
          {"failed_views", facts.failed_views},
          {"records_per_second", facts.rates},
          {"troubles", troubles}};
}

}  // namespace tidemill::cli
