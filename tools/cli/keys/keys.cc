#include <cstdio>
#include <nlohmann/json.hpp>

#include "storage/seam/clock.h"
#include "tools/cli/config/config.h"
#include "tools/cli/keys/local_keys.h"
#include "tools/cli/keys/named_key.h"
#include "tools/cli/output.h"
#include "tools/cli/printable.h"
#include "tools/cli/remote.h"
#include "tools/cli/rows.h"
#include "tools/cli/times.h"

namespace tidemill::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kOnce = "It is shown this once: keep it where nobody else reads it.\n";

// A time, or how long from now: 90d, 12h.
std::optional<WallTime> when(const std::string& text) {
  if (const auto time = parse_time(text)) return time;
  const auto duration = parse_duration(text);
  if (!duration || duration->count() <= 0) return std::nullopt;
  constexpr WallTime kEnd = std::chrono::sys_days(std::chrono::year(10'000) / 1 / 1);  // RFC 3339 has four digits
  const WallTime now = system_clock().wall();
  return *duration < kEnd - now ? std::optional(now + *duration) : std::nullopt;
}

// The secret on standard output and nothing else, so that it can be sent on; the rest is for who looks on.
int say_issued(const Json& key) {
  const auto text = [&](const char* name) {
    return key.contains(name) && key[name].is_string() ? key[name].get<std::string>() : std::string();
  };
  std::string scopes;
  for (const Json& scope : key.value("scopes", Json::array()))
    if (scope.is_string()) scopes += " " + scope.get<std::string>();
  std::fprintf(stderr, "key %s (%s) of tenant %s:%s\n", text("id").c_str(), printable(text("name")).c_str(),
               text("tenant").c_str(), scopes.c_str());
  if (text("kind") == "aws") {
    print("access_key_id " + text("access_key_id") + "\nsecret_access_key " + text("secret_access_key") + "\n");
  } else {
    print(text("key") + "\n");
  }
  std::fputs(kOnce, stderr);
  return kOk;
}

int say_local(const Keys::Issued& issued) {
  std::string scopes;
  for (const Scope& scope : issued.key.scopes) scopes += " " + scope_text(scope);
  std::fprintf(stderr, "key %s (%s) of tenant %s:%s\n", to_text(issued.key.id).c_str(), issued.key.name.c_str(),
               issued.key.tenant.c_str(), scopes.c_str());
  if (issued.key.kind == KeyKind::aws) {
    print("access_key_id " + issued.access_key + "\nsecret_access_key ");
  }
  print(issued.secret.view());
  print("\n");
  std::fputs(kOnce, stderr);
  return kOk;
}

Json shown(const Json& key) {
  Json row;
  for (const char* name : {"id", "kind", "name", "tenant", "state", "last_used", "expires"})
    row[name] = key.contains(name) ? key[name] : Json();
  std::string scopes;
  for (const Json& scope : key.value("scopes", Json::array()))
    if (scope.is_string()) scopes += (scopes.empty() ? "" : " ") + scope.get<std::string>();
  row["scopes"] = scopes;
  std::string certificates;
  for (const Json& c : key.value("certificates", Json::array()))
    certificates += (certificates.empty() ? "" : " ") + c.value("sha256", std::string());
  row["certificates"] = certificates;
  return row;
}

Json as_json(const KeyRecord& key, WallTime now) {
  const auto state = key.state(now);
  Json row{{"id", to_text(key.id)}, {"kind", key_kind_name(key.kind)}, {"name", key.name}, {"tenant", key.tenant}};
  row["state"] = state == KeyRecord::State::active    ? "active"
                 : state == KeyRecord::State::expired ? "expired"
                                                      : "revoked";
  const auto time = [&](const char* name, const std::optional<WallTime>& t) {
    row[name] = t ? Json(format_rfc3339(*t)) : Json();
  };
  time("last_used", key.last_used);
  time("expires", key.expires);
  row["scopes"] = Json::array();
  for (const Scope& scope : key.scopes) row["scopes"].push_back(scope_text(scope));
  row["certificates"] = Json::array();
  for (const KeyCertificate& c : key.certificates) row["certificates"].push_back(Json{{"sha256", hex_of(c.sha256)}});
  return row;
}

int say_list(const Json& rows) {
  if (rows.empty()) std::fputs("no keys\n", stderr);
  return print(table_of_objects(rows)), kOk;
}

int create_local(const KeysOptions& options, const WantedKey& wanted) {
  if (const std::string fault = fault_of(wanted, system_clock().wall()); !fault.empty())
    return wrong_use("keys create", fault);
  std::string error;
  const auto local = LocalKeys::open(options.data, LocalKeys::Missing::make, error);
  if (!local) return wrong_use("keys create", error);
  const auto issued = local->keys().create(wanted, {});
  if (!issued) return wrong_use("keys create", "the key was not made: " + issued.error().message());
  return say_local(*issued);
}

// The key that is named; an error of use has been said where it is none.
std::optional<KeyId> id_of(const KeysOptions& options, const char* command, int& code) {
  std::string error;
  const auto id = named_key(options.id, error);
  if (!id) code = wrong_use(command, error);
  return id;
}

std::optional<Server> server_of(const KeysOptions& options, const char* command, int& code) {
  std::string error;
  auto server = resolve(options.remote, error);
  if (!server) code = wrong_use(command, error);
  return server;
}

}  // namespace

int keys_create(const KeysOptions& options) {
  WantedKey wanted;
  wanted.name = options.name;
  wanted.kind = options.kind == "aws" ? KeyKind::aws : KeyKind::api;
  if (!options.tenant.empty()) wanted.tenant = options.tenant;
  std::vector<std::string> scopes = options.scopes;
  if (options.admin) scopes.emplace_back("instance:admin");
  for (const std::string& text : scopes) {
    auto scope = parse_scope(text);
    if (!scope)
      return wrong_use("keys create", "'" + text +
                                          "' is not a scope: they are stream:NAME:write|read|admin, "
                                          "view:NAME:query|admin, server:read|admin and instance:read|admin; NAME may "
                                          "end in *");
    wanted.scopes.push_back(std::move(*scope));
  }
  if (wanted.scopes.empty())
    return wrong_use("keys create", "say what it may do: --scope, once or more, or --admin for everything");
  if (!options.expires.empty()) {
    wanted.expires = when(options.expires);
    if (!wanted.expires)
      return wrong_use("keys create",
                       "--expires takes how long from now, such as 90d, or a time such as "
                       "2027-01-31 or 2027-01-31T08:00:00Z, before 2106; not '" +
                           options.expires + "'");
  }
  if (!options.data.empty()) return create_local(options, wanted);

  int code = kOk;
  const auto server = server_of(options, "keys create", code);
  if (!server) return code;
  Json body{{"name", wanted.name}, {"kind", key_kind_name(wanted.kind)}, {"scopes", scopes}};
  if (!options.tenant.empty()) body["tenant"] = options.tenant;
  if (wanted.expires) body["expires"] = format_rfc3339(*wanted.expires);
  HttpRequest request = server->request("POST", "/v1/keys");
  request.headers.emplace_back("Content-Type", "application/json");
  std::string text;
  try {
    text = body.dump();
  } catch (const Json::exception&) {
    return wrong_use("keys create", "the name is not valid UTF-8");
  }
  request.body = text;
  const Answer answer = call(*server, "keys create", request);
  if (answer.exit_code != kOk) return answer.exit_code;
  const Json json = Json::parse(answer.response.body, nullptr, false);
  if (!json.is_object()) return wrong_use("keys create", "the answer is not a JSON object");
  return say_issued(json);
}

int keys_list(const KeysOptions& options) {
  Json rows = Json::array();
  if (!options.data.empty()) {
    std::string error;
    const auto local = LocalKeys::open(options.data, LocalKeys::Missing::refuse, error);
    if (!local) return wrong_use("keys list", error);
    const WallTime now = system_clock().wall();
    const auto all = local->keys().list("", std::nullopt, ~std::size_t{0});
    for (const KeyRecord& key : all->keys) rows.push_back(shown(as_json(key, now)));
    return say_list(rows);
  }
  int code = kOk;
  const auto server = server_of(options, "keys list", code);
  if (!server) return code;
  std::string from;
  do {
    const std::string page = "/v1/keys?limit=1000" + (from.empty() ? "" : "&from=" + percent_encode(from));
    const Answer answer = call(*server, "keys list", server->request("GET", page));
    if (answer.exit_code != kOk) return answer.exit_code;
    const Json json = Json::parse(answer.response.body, nullptr, false);
    if (!json.is_object()) return wrong_use("keys list", "the answer is not a JSON object");
    for (const Json& key : json.value("keys", Json::array())) rows.push_back(shown(key));
    const auto next = json.find("next");
    from = next != json.end() && next->is_string() ? next->get<std::string>() : "";
  } while (!from.empty());
  return say_list(rows);
}

int keys_rotate(const KeysOptions& options) {
  int code = kOk;
  const auto id = id_of(options, "keys rotate", code);
  if (!id) return code;
  const auto grace = parse_duration(options.grace);
  if (!grace || grace->count() < 0 || *grace > std::chrono::hours(90 * 24))
    return wrong_use("keys rotate",
                     "--grace takes how long the old secret is still taken, at most 90d; 0s: not at all");
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(*grace);
  if (!options.data.empty()) {
    std::string error;
    const auto local = LocalKeys::open(options.data, LocalKeys::Missing::refuse, error);
    if (!local) return wrong_use("keys rotate", error);
    const auto issued = local->keys().rotate(*id, seconds, {});
    if (!issued) return wrong_use("keys rotate", issued.error().message());
    return say_local(*issued);
  }
  const auto server = server_of(options, "keys rotate", code);
  if (!server) return code;
  HttpRequest request = server->request("POST", "/v1/keys/" + to_text(*id) + "/rotate");
  request.headers.emplace_back("Content-Type", "application/json");
  const std::string body = "{\"grace_seconds\":" + std::to_string(seconds.count()) + "}";
  request.body = body;
  const Answer answer = call(*server, "keys rotate", request);
  if (answer.exit_code != kOk) return answer.exit_code;
  const Json json = Json::parse(answer.response.body, nullptr, false);
  if (!json.is_object()) return wrong_use("keys rotate", "the answer is not a JSON object");
  return say_issued(json);
}

int keys_revoke(const KeysOptions& options) {
  int code = kOk;
  const auto id = id_of(options, "keys revoke", code);
  if (!id) return code;
  if (!options.data.empty()) {
    std::string error;
    const auto local = LocalKeys::open(options.data, LocalKeys::Missing::refuse, error);
    if (!local) return wrong_use("keys revoke", error);
    if (const auto revoked = local->keys().revoke(*id, {}); !revoked)
      return wrong_use("keys revoke", revoked.error().message());
  } else {
    const auto server = server_of(options, "keys revoke", code);
    if (!server) return code;
    const Answer answer = call(*server, "keys revoke", server->request("DELETE", "/v1/keys/" + to_text(*id)));
    if (answer.exit_code != kOk) return answer.exit_code;
  }
  return print("revoked " + to_text(*id) + "\n"), kOk;
}

}  // namespace tidemill::cli
