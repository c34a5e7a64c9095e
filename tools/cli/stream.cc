#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "tools/cli/output.h"
#include "tools/cli/remote.h"
#include "tools/cli/rows.h"

namespace tidemill::cli {
namespace {

using Json = nlohmann::ordered_json;

// Some members of each, as a table.
std::string table(const Json& objects, std::initializer_list<const char*> names) {
  Json shown = Json::array();
  for (const Json& object : objects) {
    Json row;
    for (const char* name : names) row[name] = object.contains(name) ? object[name] : Json();
    shown.push_back(std::move(row));
  }
  return table_of_objects(shown);
}

std::string shards_table(const Json& shards) {
  return table(shards, {"shard", "open", "parents", "first_hash", "last_hash", "first_sequence", "last_sequence"});
}

int say(const std::string& text) {
  print(text);
  return kOk;
}

int change(const StreamOptions& options, const std::string& what, const Json& body) {
  const std::string command = "stream " + what;
  std::string error;
  const auto server = resolve(options.remote, error);
  if (!server) return wrong_use(command, error);
  HttpRequest request = server->request("POST", "/v1/streams/" + percent_encode(options.stream) + "/shards/" +
                                                    percent_encode(options.shard) + "/" + what);
  request.headers.emplace_back("Content-Type", "application/json");
  try {
    request.body = body.dump();
  } catch (const Json::exception&) {
    return wrong_use(command, "the words are not valid UTF-8");
  }
  const Answer answer = call(*server, command, request);
  if (answer.exit_code != kOk) return answer.exit_code;
  const Json json = Json::parse(answer.response.body, nullptr, false);
  if (!json.is_object()) return wrong_use(command, "the answer is not a JSON object");
  Json shards = json.value("closed", Json::array());
  for (const Json& opened : json.value("opened", Json::array())) shards.push_back(opened);
  return say(shards_table(shards));
}

}  // namespace

int stream(const StreamOptions& options) {
  std::string error;
  const auto server = resolve(options.remote, error);
  if (!server) return wrong_use("stream", error);
  const std::string path = options.stream.empty() ? "" : "/" + percent_encode(options.stream);
  const Answer answer = call(*server, "stream", server->request("GET", "/v1/streams" + path));
  if (answer.exit_code != kOk) return answer.exit_code;
  const Json json = Json::parse(answer.response.body, nullptr, false);
  if (!json.is_object()) return wrong_use("stream", "the answer is not a JSON object");
  if (!options.stream.empty()) return say(shards_table(json.value("shards", Json::array())));
  const Json streams = json.value("streams", Json::array());
  if (streams.empty()) return std::fputs("no streams\n", stderr), kOk;
  return say(table(streams, {"name", "shards", "partition_key", "first_sequence", "last_sequence", "bytes"}));
}

int stream_split(const StreamOptions& options) {
  Json body = Json::object();
  if (!options.at.empty()) body["at"] = options.at;
  return change(options, "split", body);
}

int stream_merge(const StreamOptions& options) {
  return change(options, "merge", Json{{"with", options.with}});
}

}  // namespace tidemill::cli
