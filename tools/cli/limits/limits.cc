#include <nlohmann/json.hpp>

#include "engine/keys/key_text.h"
#include "engine/qualified_name.h"
#include "tools/cli/limits/limit_words.h"
#include "tools/cli/output.h"
#include "tools/cli/remote.h"
#include "tools/cli/rows.h"

namespace tidemill::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Target {
  Server server;
  std::string path;  // of the owner's limits; empty: those of the key that asks
};

// An error of use has been said.
std::optional<Target> target_of(const LimitsOptions& options, const char* command, bool must_name, int& code) {
  Target target;
  const auto wrong = [&](const std::string& sentence) {
    code = wrong_use(command, sentence);
    return std::nullopt;
  };
  if (!options.key.empty() && !options.tenant.empty()) return wrong("say --key or --tenant, not both");
  if (must_name && options.key.empty() && options.tenant.empty())
    return wrong("say whose limits: --key ID, or --tenant NAME");
  if (!options.key.empty()) {
    const auto id = parse_key_id(options.key);
    if (!id) return wrong("'" + options.key + "' is not the id of a key; `tidemill keys list` shows them");
    target.path = "/v1/limits/keys/" + to_text(*id);
  } else if (!options.tenant.empty()) {
    if (!valid_tenant_name(options.tenant))
      return wrong("a tenant's name is 1 to 63 of a-z 0-9 and -, and does not begin with -");
    target.path = "/v1/limits/tenants/" + options.tenant;
  }
  std::string error;
  auto server = resolve(options.remote, error);
  if (!server) return wrong(error);
  target.server = std::move(*server);
  return target;
}

bool says_nothing(const LimitsOptions& o) {
  for (const LimitsOptions::Of* of : {&o.requests, &o.records, &o.bytes})
    if (of->rate || of->day || of->month) return false;
  return !o.connections && !o.streams && !o.disk;
}

// One line for each limit: what it is, and what is left.
void add_rows(Json& rows, const Json& owner) {
  if (!owner.is_object()) return;
  const std::string of =
      owner.contains("key") ? "key " + owner.value("key", "") : "tenant " + owner.value("tenant", "");
  const Json limits = owner.value("limits", Json::object());
  const Json left = owner.value("left", Json::object());
  const auto row = [&](const std::string& what, const Json& most, const Json& rest) {
    rows.push_back({{"of", of}, {"limit", what}, {"most", most}, {"left", rest}});
  };
  for (const char* measure : {"requests", "records", "bytes"}) {
    const Json one = limits.value(measure, Json::object());
    const Json rest = left.value(measure, Json::object());
    const std::string name(measure);
    if (one.contains("per_second")) row(name + " a second", one["per_second"], Json());
    if (one.contains("burst")) row(name + " at once", one["burst"], rest.value("now", Json()));
    if (one.contains("per_day")) row(name + " a day", one["per_day"], rest.value("this_day", Json()));
    if (one.contains("per_month")) row(name + " a month", one["per_month"], rest.value("this_month", Json()));
  }
  for (const auto& [name, what] : {std::pair{"connections", "connections"}, std::pair{"streams", "streams"},
                                   std::pair{"disk_bytes", "bytes of disk"}})
    if (limits.contains(name)) row(what, limits[name], left.value(name, Json()));
}

int say(const Json& owners) {
  Json rows = Json::array();
  for (const Json& owner : owners) add_rows(rows, owner);
  print(rows.empty() ? "no limits\n" : table_of_objects(rows));
  return kOk;
}

// What a request is answered with, as JSON; nullopt: it has been said what is wrong.
std::optional<Json> json_of(const Server& server, const char* command, const HttpRequest& request, int& code) {
  const Answer answer = call(server, command, request);
  code = answer.exit_code;
  if (code != kOk) return std::nullopt;
  Json json = Json::parse(answer.response.body, nullptr, false);
  if (!json.is_object()) {
    code = wrong_use(command, "the answer is not a JSON object");
    return std::nullopt;
  }
  return json;
}

}  // namespace

int limits_set(const LimitsOptions& options) {
  int code = kOk;
  const auto target = target_of(options, "limits set", true, code);
  if (!target) return code;
  if (says_nothing(options))
    return wrong_use("limits set", "say what to limit, such as --requests 100/s; see `tidemill limits set --help`");
  Json said = Json::object();
  if (const std::string wrong = change_limits(options, said); !wrong.empty()) return wrong_use("limits set", wrong);
  // What is not said stays as it is.
  const auto now = json_of(target->server, "limits set", target->server.request("GET", target->path), code);
  if (!now) return code;
  Json limits = now->value("limits", Json::object());
  (void)change_limits(options, limits);
  HttpRequest request = target->server.request("PUT", target->path);
  request.headers.emplace_back("Content-Type", "application/json");
  const std::string body = limits.dump();
  request.body = body;
  const auto set = json_of(target->server, "limits set", request, code);
  return set ? say(Json::array({*set})) : code;
}

int limits_show(const LimitsOptions& options) {
  int code = kOk;
  const auto target = target_of(options, "limits show", false, code);
  if (!target) return code;
  const std::string path = target->path.empty() ? "/v1/limits" : target->path;
  const auto json = json_of(target->server, "limits show", target->server.request("GET", path), code);
  if (!json) return code;
  if (!target->path.empty()) return say(Json::array({*json}));
  return say(Json::array({json->value("key", Json()), json->value("tenant", Json())}));
}

int limits_list(const LimitsOptions& options) {
  int code = kOk;
  const auto target = target_of(options, "limits list", false, code);
  if (!target) return code;
  Json owners = Json::array();
  // Who is not the instance's admin is shown the keys of their tenant.
  const Answer tenants = ask(target->server, "limits list", target->server.request("GET", "/v1/limits/tenants"));
  if (tenants.exit_code != kOk) return tenants.exit_code;
  if (tenants.response.status == 200) {
    const Json json = Json::parse(tenants.response.body, nullptr, false);
    if (json.is_object())
      for (const Json& one : json.value("tenants", Json::array())) owners.push_back(one);
  }
  for (std::string after; code == kOk;) {
    const auto page = json_of(
        target->server, "limits list",
        target->server.request("GET", "/v1/limits/keys?limit=1000" + (after.empty() ? "" : "&from=" + after)), code);
    if (!page) return code;
    for (const Json& one : page->value("keys", Json::array())) owners.push_back(one);
    const auto next = page->find("next");
    if (next == page->end() || !next->is_string()) break;
    after = next->get<std::string>();
  }
  Json rows = Json::array();
  for (const Json& owner : owners) add_rows(rows, owner);
  for (Json& row : rows) row.erase("left");
  print(rows.empty() ? "no limits\n" : table_of_objects(rows));
  return code;
}

int limits_remove(const LimitsOptions& options) {
  int code = kOk;
  const auto target = target_of(options, "limits remove", true, code);
  if (!target) return code;
  const Answer answer = call(target->server, "limits remove", target->server.request("DELETE", target->path));
  if (answer.exit_code == kOk) print("no limits\n");
  return answer.exit_code;
}

}  // namespace tidemill::cli
