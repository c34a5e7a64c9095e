#include <cstdio>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "storage/seam/clock.h"
#include "tools/cli/output.h"
#include "tools/cli/remote.h"
#include "tools/cli/rows.h"
#include "tools/cli/statement.h"
#include "tools/cli/times.h"

namespace tidemill::cli {
namespace {

using Json = nlohmann::ordered_json;

Json ask(const Server& server, const std::string& path, int& exit_code) {
  const Answer answer = call(server, "view", server.request("GET", path));
  exit_code = answer.exit_code;
  if (exit_code != kOk) return {};
  Json json = Json::parse(answer.response.body, nullptr, false);
  if (!json.is_object()) exit_code = wrong_use("view", "the answer is not a JSON object");
  return json;
}

// "17850,2011" as it belongs into a path: each part encoded, the commas not.
std::string encoded_parts(const std::string& key) {
  std::string out;
  std::size_t at = 0;
  while (true) {
    const std::size_t comma = key.find(',', at);
    out += percent_encode(key.substr(at, comma == key.npos ? key.npos : comma - at));
    if (comma == key.npos) return out;
    out += ',';
    at = comma + 1;
  }
}

// Which record a time stood for, and which time a record.
std::string as_of_text(const Json& answer) {
  const Json as_of = answer.value("as_of", Json::object());
  if (!as_of.is_object()) return {};
  std::string out = "(as of record " + std::to_string(as_of.value("sequence", std::uint64_t{0}));
  const Json time = as_of.value("time", Json());
  if (time.is_string()) out += ", which arrived at " + time.get<std::string>();
  return out + ")\n";
}

int say(const std::string& text) {
  print(text);
  return kOk;
}

}  // namespace

int view(const ViewOptions& options) {
  std::string error;
  const auto server = resolve(options.remote, error);
  if (!server) return wrong_use("view", error);
  if (!options.at.empty() && options.key.empty())
    return wrong_use("view", "--at shows one row as it was: name its key, too");
  int code = kOk;
  if (options.view.empty()) {
    const Json answer = ask(*server, "/v1/views", code);
    if (code != kOk) return code;
    Json shown = Json::array();
    for (const Json& v : answer.value("views", Json::array())) {
      Json row;
      for (const char* name : {"name", "stream", "rows", "parked", "since", "freshness_seconds", "ready"})
        if (v.contains(name)) row[name] = v[name];
      if (const std::string building = building_text(v); !building.empty()) row["building"] = building;
      shown.push_back(row);
    }
    if (shown.empty()) return std::fputs("no views\n", stderr), kOk;
    return say(table_of_objects(shown));
  }
  const std::string base = "/v1/views/" + percent_encode(options.view);
  if (!options.key.empty()) {
    // A JSON array says what commas and text cannot: ["a,b",2011].
    const bool array = options.key.starts_with('[');
    std::string path = array ? "?key=" + percent_encode(options.key) : "/" + encoded_parts(options.key);
    if (!options.at.empty())
      path += (array ? "&at=" : "?at=") + percent_encode(place_text(options.at, system_clock().wall()));
    const Json answer = ask(*server, base + "/rows" + path, code);
    if (code != kOk) return code;
    std::string out = members_of_object(answer.contains("row") && answer["row"].is_object() ? answer["row"] : answer);
    if (!options.at.empty()) out += as_of_text(answer);
    return say(out);
  }
  std::string path = base + "/rows?limit=" + std::to_string(options.limit);
  if (!options.prefix.empty()) path += "&prefix=" + percent_encode(options.prefix);
  const Json answer = ask(*server, path, code);
  if (code != kOk) return code;
  const Json rows = answer.value("rows", Json::array());
  std::string out = table_of_objects(rows);
  const bool more =
      answer.contains("cursor") && answer["cursor"].is_string() && !answer["cursor"].get<std::string>().empty();
  out += "(" + std::to_string(rows.size()) + (rows.size() == 1 ? " row" : " rows") +
         (more ? ", and more: --limit, --prefix" : "") + ")\n";
  return say(out);
}

int view_create(const ViewOptions& options) {
  std::string error;
  const auto server = resolve(options.remote, error);
  if (!server) return wrong_use("view create", error);
  std::string statement = options.sql;
  if (statement.empty() || statement == "-")
    statement.assign(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  std::string body;
  try {
    body = Json{{"sql", statement}}.dump();
  } catch (const Json::exception&) {
    return wrong_use("view create", "the definition is not valid UTF-8");
  }
  HttpRequest request = server->request("PUT", "/v1/views/" + percent_encode(options.view));
  request.headers.emplace_back("Content-Type", "application/json");
  request.body = body;
  const Answer answer = call(*server, "view create", request);
  if (answer.exit_code != kOk) return answer.exit_code;
  const Json made = Json::parse(answer.response.body, nullptr, false);
  if (made.is_object()) print_warnings(made);
  const int status = answer.response.status;
  if (status == 202)
    return say("view " + options.view + ": the new definition is being built (" + building_text(made) +
               "); the old one is served until it is there\n");
  return say("view " + options.view + (status == 201 ? " created\n" : " is there\n"));
}

int view_drop(const ViewOptions& options) {
  std::string error;
  const auto server = resolve(options.remote, error);
  if (!server) return wrong_use("view drop", error);
  const Answer answer =
      call(*server, "view drop", server->request("DELETE", "/v1/views/" + percent_encode(options.view)));
  if (answer.exit_code != kOk) return answer.exit_code;
  return say("view " + options.view + " dropped\n");
}

// Which records made a row.
int view_why(const ViewOptions& options) {
  std::string error;
  const auto server = resolve(options.remote, error);
  if (!server) return wrong_use("view why", error);
  const bool array = options.key.starts_with('[');
  std::string path =
      "/v1/views/" + percent_encode(options.view) +
      (array ? "/why?key=" + percent_encode(options.key) + "&" : "/rows/" + encoded_parts(options.key) + "/why?") +
      "limit=" + std::to_string(options.limit);
  if (!options.from.empty()) path += "&from=" + percent_encode(options.from);
  if (options.newest) path += "&order=desc";
  int code = kOk;
  const Json answer = ask(*server, path, code);
  if (code != kOk) return code;
  Json shown = Json::array();
  for (const Json& record : answer.value("records", Json::array())) {
    Json row;
    for (const char* name : {"sequence", "time", "key", "data"}) row[name] = record.value(name, Json());
    if (record.contains("reason")) row["data"] = "(" + record.value("reason", "") + ")";
    if (record.contains("edited")) row["data"] = record["edited"];
    shown.push_back(row);
  }
  std::string out = members_of_object(answer.value("row", Json::object())) + "\n";
  if (!shown.empty()) out += table_of_objects(shown);
  const std::uint64_t count = answer.value("count", std::uint64_t{0});
  out += "(" + std::to_string(count) + (count == 1 ? " record" : " records") + " made this row, from sequence " +
         std::to_string(answer.value("first", std::uint64_t{0})) + " to " +
         std::to_string(answer.value("last", std::uint64_t{0}));
  const Json next = answer.value("next", Json());
  if (next.is_number()) out += "; more: --from " + next.dump() + (options.newest ? " --newest" : "");
  out += ")\n";
  const std::uint64_t from = answer.value("lineage_from", std::uint64_t{1});
  if (answer.value("first", std::uint64_t{0}) < from)
    out +=
        "(which of the records before " + std::to_string(from) +
        " are in it is not known: the view was kept by a version without that; ALTER VIEW with WITH (lineage = true) "
        "builds it anew)\n";
  return say(out);
}

// Makes it anew beside the live one and compares.
int view_verify(const ViewOptions& options) {
  std::string error;
  const auto server = resolve(options.remote, error);
  if (!server) return wrong_use("view verify", error);
  const Answer answer =
      call(*server, "view verify", server->request("POST", "/v1/views/" + percent_encode(options.view) + "/verify"));
  if (answer.exit_code != kOk) return answer.exit_code;
  const Json json = Json::parse(answer.response.body, nullptr, false);
  if (!json.is_object()) return wrong_use("view verify", "the answer is not a JSON object");
  const std::uint64_t count = json.value("difference_count", std::uint64_t{0});
  const Json as_of = json.value("as_of", Json::object());
  const std::string at = std::to_string(as_of.is_object() ? as_of.value("sequence", std::uint64_t{0}) : 0);
  if (count == 0)
    return say("view " + options.view + ": made anew from the log it is the same, byte for byte, at sequence " + at +
               "\n");
  print("view " + options.view + ": " + std::to_string(count) + (count == 1 ? " difference" : " differences") +
        " from what the log gives, at sequence " + at + "\n");
  print(table_of_objects(json.value("differences", Json::array())));
  if (json.value("deterministic", true)) return kPartly;
  return say(
      "It looks up other views, whose rows may have been others when its records were counted: that is not "
      "necessarily a fault.\n");
}

}  // namespace tidemill::cli
