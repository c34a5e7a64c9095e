// `config diff` and `apply`: a configuration file beside what a running server has.

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/cli/config/config.h"
#include "tools/cli/remote.h"
#include "tools/cli/serve/differences.h"

namespace tidemill::cli {
namespace {

using Json = nlohmann::ordered_json;

std::optional<Config> read(const ConfigOptions& options, const char* command) {
  ConfigErrors errors;
  Config config = load_config({.file = options.file, .environment = environment_of_process()}, errors);
  for (const std::string& e : errors) wrong_use(command, e);
  if (!errors.empty()) return std::nullopt;
  return config;
}

std::string type_name(FieldType type) {
  return type == FieldType::integer ? "integer" : type == FieldType::number ? "number" : "text";
}

StreamDefinition stream_of(const Json& json) {
  StreamDefinition d;
  d.name = json.value("name", "");
  if (json.contains("partition_key") && json["partition_key"].is_string()) d.partition_key = json["partition_key"];
  if (json.contains("fields") && json["fields"].is_object())
    for (const auto& [name, type] : json["fields"].items())
      d.fields.emplace(name, type == "integer"  ? FieldType::integer
                             : type == "number" ? FieldType::number
                                                : FieldType::text);
  const Json shards = json.value("shards", Json());
  if (shards.is_number_unsigned()) d.shards = make_shards(shards);
  if (shards.is_array())
    for (const Json& shard : shards) {
      auto& s = d.shards.emplace_back();
      if (shard.is_object()) s.open = shard.value("open", true);
    }
  if (const Json archive = json.value("archive", Json()); archive.is_object()) {
    d.archive.enabled = archive.value("enabled", true);
    d.archive.size_bytes = archive.value("size_bytes", std::uint64_t{0});
    d.archive.age = std::chrono::milliseconds(std::llround(archive.value("age_seconds", 0.0) * 1000));
  }
  return d;
}

std::string body_of(const StreamConfig& stream) {
  Json fields = Json::object();
  for (const auto& [name, type] : stream.fields) fields[name] = type_name(type);
  return Json{{"shards", stream.shards},
              {"partition_key", stream.partition_key},
              {"fields", fields},
              {"archive",
               {{"enabled", stream.archive_enabled},
                {"size_bytes", stream.archive_size},
                {"age_seconds", static_cast<double>(stream.archive_age.count()) / 1000}}}}
      .dump();
}

enum class Found { yes, no, failed };

// One of the server's things; `exit_code` when it could not be asked for.
Found get(const Server& server, const char* command, const std::string& path, Json& into, int& exit_code) {
  HttpClient client(server.url, {});
  HttpFailure failure;
  const auto response = client.send(server.request("GET", path), failure);
  if (!response) {
    wrong_use(command, failure.message + "; is the server running? (--url or API_URL says where)");
    exit_code = kNotReached;
    return Found::failed;
  }
  if (response->status == 404) return Found::no;
  into = Json::parse(response->body, nullptr, false);
  if (response->status == 200 && into.is_object()) return Found::yes;
  exit_code = wrong_use(command, problem_text(*response));
  return Found::failed;
}

// Calls `missing` and `differs` for each stream and view of the configuration. 0, or the exit code.
template <class Missing, class Differs>
int walk(const Config& config, const Server& server, const char* command, Missing&& missing, Differs&& differs) {
  int code = kOk;
  for (const StreamConfig& stream : config.streams) {
    Json json;
    const std::string path = "/v1/streams/" + percent_encode(stream.name);
    const Found found = get(server, command, path, json, code);
    if (found == Found::failed) return code;
    if (found == Found::no) {
      missing("stream " + stream.name, path, body_of(stream));
    } else if (const auto list = differences(stream, stream_of(json)); !list.empty()) {
      differs(list, path, body_of(stream));
    }
  }
  for (const ViewConfig& view : config.views) {
    Json json;
    const std::string path = "/v1/views/" + percent_encode(view.name);
    const Found found = get(server, command, path, json, code);
    if (found == Found::failed) return code;
    const std::string body = Json{{"sql", view.sql}}.dump();
    if (found == Found::no) {
      missing("view " + view.name, path, body);
      continue;
    }
    views::ViewInfo there;
    if (json.contains("source") && json["source"].is_string()) there.source = json["source"];
    if (const auto list = differences(view, there); !list.empty()) differs(list, path, body);
  }
  return kOk;
}

}  // namespace

int config_diff(const ConfigOptions& options) {
  const auto config = read(options, "config diff");
  if (!config) return kWrongUse;
  std::string error;
  const auto server = resolve(options.remote, error);
  if (!server) return wrong_use("config diff", error);
  bool any = false;
  const int code = walk(
      *config, *server, "config diff",
      [&](const std::string& what, const std::string&, const std::string&) {
        any = true;
        std::printf("%s: does not exist\n", what.c_str());
      },
      [&](const std::vector<std::string>& list, const std::string&, const std::string&) {
        any = true;
        for (const std::string& difference : list) std::printf("%s\n", difference.c_str());
      });
  if (code != kOk) return code;
  if (!any) std::printf("no differences\n");
  return any ? kPartly : kOk;
}

int config_apply(const ConfigOptions& options) {
  const auto config = read(options, "apply");
  if (!config) return kWrongUse;
  std::string error;
  const auto server = resolve(options.remote, error);
  if (!server) return wrong_use("apply", error);
  HttpClient client(server->url, {});
  int worst = kOk;
  const auto put = [&](const std::string& what, const std::string& path, const std::string& body) {
    HttpRequest request = server->request("PUT", path);
    request.headers.emplace_back("Content-Type", "application/json");
    request.body = body;
    HttpFailure failure;
    const auto response = client.send(request, failure);
    if (response && response->status / 100 == 2) {
      std::printf("%s: done\n", what.c_str());
      return;
    }
    wrong_use("apply", what + ": " + (response ? problem_text(*response) : failure.message));
    worst = std::max<int>(worst, response ? kPartly : kNotReached);
  };
  const int code = walk(
      *config, *server, "apply",
      [&](const std::string& what, const std::string& path, const std::string& body) {
        put(what + " created", path, body);
      },
      [&](const std::vector<std::string>& list, const std::string& path, const std::string& body) {
        std::string all;
        for (const std::string& difference : list) all += (all.empty() ? "" : "; ") + difference;
        put(all, path, body);
      });
  return code != kOk ? code : worst;
}

}  // namespace tidemill::cli
