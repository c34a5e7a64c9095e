#include "tools/cli/statement.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/cli/output.h"
#include "tools/cli/rows.h"

namespace tidemill::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Json& object, const char* name) {
  const auto at = object.find(name);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

std::string explained(const Json& answer) {
  std::string out;
  const auto line = [&](const std::string& name, const std::string& text) {
    if (!text.empty()) out += name + std::string(name.size() < 11 ? 11 - name.size() : 1, ' ') + text + "\n";
  };
  line("stream", text_of(answer, "stream"));
  for (const Json& l : answer.value("lookups", Json::array())) {
    const bool left = text_of(l, "join") == "left";
    line("lookup", text_of(l, "alias") + ": " + text_of(l, "reads") + (left ? "; NULL where there is none" : ""));
  }
  std::string keys;
  for (const Json& key : answer.value("key", Json::array()))
    keys += (keys.empty() ? "" : ", ") + text_of(key, "expression");
  line("key", keys.empty() ? "none: one row over all records" : keys);
  for (const Json& a : answer.value("aggregates", Json::array()))
    line("aggregate", text_of(a, "expression") + "  " + text_of(a, "type"));
  line("row", text_of(answer, "row_statement"));
  line("final", text_of(answer, "final_statement"));
  line("expiry", text_of(answer, "expiry"));
  std::vector<std::vector<Cell>> rows;
  for (const Json& c : answer.value("columns", Json::array()))
    rows.push_back({{text_of(c, "name")}, {text_of(c, "type")}, {c.value("key", false) ? "yes" : ""}});
  return out + "\n" + format_table({"column", "type", "key"}, rows, terminal_width());
}

std::string sample_of(const Json& answer) {
  const Json trial = answer.value("trial", Json::object());
  const Json sample = trial.is_object() ? trial.value("sample", Json::array()) : Json::array();
  if (!sample.is_array() || sample.empty()) return {};
  return "\nthe last " + std::to_string(trial.value("records", std::uint64_t{0})) + " records alone give:\n" +
         table_of_objects(sample);
}

}  // namespace

std::string building_text(const Json& view) {
  const auto building = view.find("building");
  if (building == view.end() || !building->is_object()) return {};
  const std::uint64_t from = building->value("from", std::uint64_t{1});
  const auto counted = [from](std::uint64_t to) { return std::to_string(to < from ? 0 : to - from + 1); };
  return counted(building->value("at", std::uint64_t{0})) + " of " + counted(building->value("of", std::uint64_t{0})) +
         " records";
}

void print_warnings(const Json& answer) {
  for (const Json& warning : answer.value("warnings", Json::array()))
    if (warning.is_string()) std::fprintf(stderr, "warning: %s\n", warning.get<std::string>().c_str());
}

bool is_statement(std::string_view body) {
  return body.starts_with("{\"statement\":");
}

std::string statement_text(const Json& answer) {
  if (!answer.is_object()) return {};
  const std::string result = text_of(answer, "result");
  const bool of_stream = answer.contains("stream") && !answer.contains("view");
  const std::string view = of_stream ? "stream " + text_of(answer, "stream") : "view " + text_of(answer, "view");
  std::string out;
  if (result.empty()) {
    out = explained(answer);
  } else if (result == "created") {
    out = view + " created\n";
  } else if (result == "explained") {
    out = view + " would be made of " + text_of(answer, "source") + " by\n" + text_of(answer, "row_statement") + "\n";
  } else if (result == "building") {
    out = view + ": the new definition is being built (" + building_text(answer) +
          "); the old one is served until it is there\n";
  } else if (result == "unchanged") {
    out = view + " has this definition already\n";
  } else if (result == "exists") {
    out = view + " is there\n";
  } else if (result == "absent") {
    out = "there is no " + view + "\n";
  } else {
    out = view + " " + result + "\n";
  }
  print_warnings(answer);
  return out + sample_of(answer);
}

}  // namespace tidemill::cli
