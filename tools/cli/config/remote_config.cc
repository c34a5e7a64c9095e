// `config diff` and `apply`: a configuration file beside what a running server has.

#include <cmath>
#include <nlohmann/json.hpp>

#include "tools/cli/config/config.h"
#include "tools/cli/output.h"
#include "tools/cli/remote.h"
#include "tools/cli/serve/differences.h"
#include "tools/cli/statement.h"

namespace tidemill::cli {
namespace {

using Json = nlohmann::ordered_json;

std::optional<Config> read(const ConfigOptions& options, const char* command, bool file_needed) {
  ConfigErrors errors;
  ConfigSources sources{.file = options.file, .environment = environment_of_process()};
  sources.file_needed = file_needed;
  Config config = load_config(sources, errors);
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
  if (const Json retention = json.value("retention", Json()); retention.is_object()) {
    if (const Json age = retention.value("age_seconds", Json()); age.is_number())
      d.retention.age = std::chrono::milliseconds(std::llround(age.get<double>() * 1000));
    if (const Json size = retention.value("size_bytes", Json()); size.is_number_unsigned())
      d.retention.size_bytes = size.get<std::uint64_t>();
    d.retention.wait_for_groups = retention.value("wait_for_groups", false);
  }
  return d;
}

// `shards` only of a stream that is to be made: what exists keeps its own.
std::string body_of(const StreamConfig& stream, bool shards) {
  Json fields = Json::object();
  for (const auto& [name, type] : stream.fields) fields[name] = type_name(type);
  Json json{{"partition_key", stream.partition_key},
            {"fields", fields},
            {"archive",
             {{"enabled", stream.archive_enabled},
              {"size_bytes", stream.archive_size},
              {"age_seconds", static_cast<double>(stream.archive_age.count()) / 1000}}}};
  Json& retention = json["retention"];
  retention["age_seconds"] = nullptr;
  retention["size_bytes"] = nullptr;
  if (stream.retention_age.count() != 0)
    retention["age_seconds"] = static_cast<double>(stream.retention_age.count()) / 1000;
  if (stream.retention_size != 0) retention["size_bytes"] = stream.retention_size;
  retention["wait_for_groups"] = stream.retention_wait_for_groups;
  if (shards) json["shards"] = stream.shards;
  return json.dump();
}

enum class Found { yes, no, failed };

// One of the server's things; `exit_code` when it could not be asked for.
Found get(const Server& server, const char* command, const std::string& path, Json& into, int& exit_code) {
  HttpClient client(server.url, {});
  HttpFailure failure;
  const auto response = client.send(server.request("GET", path), failure);
  if (!response) {
    wrong_use(command, unanswered(failure));
    exit_code = kNotReached;
    return Found::failed;
  }
  if (response->status == 404) return Found::no;
  into = Json::parse(response->body, nullptr, false);
  if (response->status == 200 && into.is_object()) return Found::yes;
  exit_code = wrong_use(command, problem_text(*response));
  return Found::failed;
}

// A stream or view of the configuration that the server lacks, or has otherwise.
struct Difference {
  std::string what;  // "stream retail"
  std::string path;
  std::string body;               // that makes it so
  std::vector<std::string> list;  // sentences; empty: it does not exist
  bool view = false;
};

// Calls `found` for each. 0, or the exit code.
template <class F>
int walk(const Config& config, const Server& server, const char* command, F&& found) {
  int code = kOk;
  for (const StreamConfig& stream : config.streams) {
    Json json;
    Difference d{"stream " + stream.name, "/v1/streams/" + percent_encode(stream.name), {}, {}};
    const Found there = get(server, command, d.path, json, code);
    if (there == Found::failed) return code;
    if (there == Found::yes) d.list = differences(stream, stream_of(json));
    d.body = body_of(stream, there == Found::no);
    if (there == Found::no || !d.list.empty()) found(d);
  }
  for (const ViewConfig& view : config.views) {
    Json json;
    Difference d{"view " + view.name, "/v1/views/" + percent_encode(view.name), {}, {}, true};
    const Found there = get(server, command, d.path, json, code);
    if (there == Found::failed) return code;
    if (there == Found::yes) {
      views::ViewInfo info;
      if (json.contains("source") && json["source"].is_string()) info.source = json["source"];
      d.list = differences(view, info);
    }
    d.body = Json{{"sql", view.sql}}.dump();
    if (there == Found::no || !d.list.empty()) found(d);
  }
  return kOk;
}

}  // namespace

int config_diff(const ConfigOptions& options) {
  const auto config = read(options, "config diff", false);
  if (!config) return kWrongUse;
  std::string error;
  const auto server = resolve(options.remote, error);
  if (!server) return wrong_use("config diff", error);
  bool any = false;
  const int code = walk(*config, *server, "config diff", [&](const Difference& d) {
    any = true;
    if (d.list.empty()) print(d.what + ": does not exist\n");
    for (const std::string& sentence : d.list) print(sentence + "\n");
  });
  if (code != kOk) return code;
  if (!any) print("no differences\n");
  return any ? kPartly : kOk;
}

int config_apply(const ConfigOptions& options) {
  const auto config = read(options, "apply", true);
  if (!config) return kWrongUse;
  std::string error;
  const auto server = resolve(options.remote, error);
  if (!server) return wrong_use("apply", error);
  HttpClient client(server->url, {});
  int worst = kOk;
  bool any = false;
  const auto refused = [&](const std::string& message, int code) {
    wrong_use("apply", message);
    worst = std::max(worst, code);
  };
  const auto apply = [&](const Difference& d) {
    any = true;
    std::vector<std::string> list;
    for (const std::string& sentence : d.list) {
      if (!d.view && sentence.starts_with(d.what + ": shards ")) {
        refused(sentence + "; the shards of a stream that exists cannot be changed", kPartly);
      } else {
        list.push_back(sentence);
      }
    }
    if (!d.list.empty() && list.empty()) return;
    HttpRequest request = server->request("PUT", d.path);
    request.headers.emplace_back("Content-Type", "application/json");
    request.body = d.body;
    HttpFailure failure;
    const auto response = client.send(request, failure);
    if (!response) return refused(d.what + ": " + failure.message, kNotReached);
    if (response->status / 100 != 2) return refused(d.what + ": " + problem_text(*response), kPartly);
    if (list.empty()) print(d.what + ": created\n");
    for (const std::string& sentence : list)
      print(sentence + (response->status == 202 ? ": being built; the old one is served until then\n" : ": changed\n"));
    if (const Json made = Json::parse(response->body, nullptr, false); d.view && made.is_object()) print_warnings(made);
  };
  const int code = walk(*config, *server, "apply", apply);
  if (code == kOk && !any) print("no differences\n");
  return code != kOk ? code : worst;
}

}  // namespace tidemill::cli
