#include <nlohmann/json.hpp>

#include "engine/qualified_name.h"
#include "tools/cli/keys/named_key.h"
#include "tools/cli/limits/limit_rows.h"
#include "tools/cli/limits/limit_words.h"
#include "tools/cli/limits/local_limits.h"
#include "tools/cli/output.h"
#include "tools/cli/remote.h"

namespace tidemill::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Target {
  LimitOwner owner;  // where it is named
  Server server;     // not with --data
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
    std::string error;
    const auto id = named_key(options.key, error);
    if (!id) return wrong(error);
    target.owner.key = *id;
    target.path = "/v1/limits/keys/" + to_text(*id);
  } else if (!options.tenant.empty()) {
    if (!valid_tenant_name(options.tenant))
      return wrong("a tenant's name is 1 to 63 of a-z 0-9 and -, and does not begin with -");
    target.owner.tenant = options.tenant;
    target.path = "/v1/limits/tenants/" + options.tenant;
  }
  if (!options.data.empty()) return target;
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
  if (!options.data.empty()) return limits_set_local(options, target->owner);
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
  return set ? say_limits(Json::array({*set}), true) : code;
}

int limits_show(const LimitsOptions& options) {
  int code = kOk;
  // Without a server there is no key that asks.
  const auto target = target_of(options, "limits show", !options.data.empty(), code);
  if (!target) return code;
  if (!options.data.empty()) return limits_show_local(options, target->owner);
  const std::string path = target->path.empty() ? "/v1/limits" : target->path;
  const auto json = json_of(target->server, "limits show", target->server.request("GET", path), code);
  if (!json) return code;
  if (!target->path.empty()) return say_limits(Json::array({*json}), true);
  return say_limits(Json::array({json->value("key", Json()), json->value("tenant", Json())}), true);
}

int limits_list(const LimitsOptions& options) {
  if (!options.data.empty()) return limits_list_local(options);
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
  return say_limits(owners, false);
}

int limits_remove(const LimitsOptions& options) {
  int code = kOk;
  const auto target = target_of(options, "limits remove", true, code);
  if (!target) return code;
  if (!options.data.empty()) return limits_remove_local(options, target->owner);
  const Answer answer = call(target->server, "limits remove", target->server.request("DELETE", target->path));
  if (answer.exit_code == kOk) print("no limits\n");
  return answer.exit_code;
}

}  // namespace tidemill::cli
