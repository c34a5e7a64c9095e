#include <cstdio>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "tools/cli/output.h"
#include "tools/cli/remote.h"
#include "tools/cli/rows.h"

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
std::string key_path(const std::string& key) {
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

int say(const std::string& text) {
  print(text);
  return kOk;
}

}  // namespace

int view(const ViewOptions& options) {
  std::string error;
  const auto server = resolve(options.remote, error);
  if (!server) return wrong_use("view", error);
  int code = kOk;
  if (options.view.empty()) {
    const Json answer = ask(*server, "/v1/views", code);
    if (code != kOk) return code;
    Json shown = Json::array();
    for (const Json& v : answer.value("views", Json::array())) {
      Json row;
      for (const char* name : {"name", "stream", "rows", "parked", "since", "ready"})
        if (v.contains(name)) row[name] = v[name];
      shown.push_back(row);
    }
    return say(table_of_objects(shown));
  }
  const std::string base = "/v1/views/" + percent_encode(options.view);
  if (!options.key.empty()) {
    // A JSON array says what commas and text cannot: ["a,b",2011].
    const std::string path =
        options.key.starts_with('[') ? "?key=" + percent_encode(options.key) : "/" + key_path(options.key);
    const Json answer = ask(*server, base + "/rows" + path, code);
    if (code != kOk) return code;
    return say(members_of_object(answer.contains("row") && answer["row"].is_object() ? answer["row"] : answer));
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
  return say("view " + options.view + (answer.response.status == 201 ? " created\n" : " is there\n"));
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

}  // namespace tidemill::cli
