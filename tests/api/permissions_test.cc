// Who may what, at every route.
#include <gmock/gmock.h>

#include <map>

#include "tests/api/keys_world.h"

namespace tidemill {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

// What each route takes, written down a second time: S is the stream, V the view of its path, C and I the views
// customers and invoices. A route that is not here fails the test.
const std::map<std::string_view, std::string_view> kAllowed{
    {"ingest", "S:write S:admin server:admin instance:admin"},
    {"records", "S:read S:admin server:admin instance:admin"},
    {"view_row", "V:query V:admin server:admin instance:admin"},
    {"view_rows", "V:query V:admin server:admin instance:admin"},
    {"view_changes", "V:query V:admin server:admin instance:admin"},
    {"customer", "C:query C:admin server:admin instance:admin"},
    {"invoice", "I:query I:admin server:admin instance:admin"},
    {"sql", "*"},
    {"history", "*"},
    {"streams", "*"},
    {"stream", "S:write S:read S:admin server:read server:admin instance:admin"},
    {"stream_put", "S:admin server:admin instance:admin"},
    {"stream_delete", "S:admin server:admin instance:admin"},
    {"shard_split", "S:admin server:admin instance:admin"},
    {"shard_merge", "S:admin server:admin instance:admin"},
    {"views", "*"},
    {"view", "V:query V:admin server:read server:admin instance:admin"},
    {"view_put", "V:admin server:admin instance:admin"},
    {"view_delete", "V:admin server:admin instance:admin"},
    {"view_verify", "V:admin server:admin instance:admin"},
    {"view_why_row", "V:query V:admin server:admin instance:admin"},
    {"view_why", "V:query V:admin server:admin instance:admin"},
    {"view_quarantine", "V:query V:admin server:admin instance:admin"},
    {"view_decide_many", "V:admin server:admin instance:admin"},
    {"view_decide", "V:admin server:admin instance:admin"},
    {"groups", "server:read server:admin instance:read instance:admin"},
    {"group", "server:read server:admin instance:read instance:admin"},
    {"cut", "instance:admin"},
    {"key_create", "server:admin instance:admin"},
    {"keys", "server:admin instance:admin"},
    {"key", "server:admin instance:admin"},
    {"key_rotate", "server:admin instance:admin"},
    {"key_revoke", "server:admin instance:admin"},
    {"key_bind", "server:admin instance:admin"},
    {"key_unbind", "server:admin instance:admin"},
    {"limits", "*"},
    {"limits_keys", "server:admin instance:admin"},
    {"limits_key", "server:admin instance:admin"},
    {"limits_key_put", "server:admin instance:admin"},
    {"limits_key_delete", "server:admin instance:admin"},
    {"limits_tenants", "instance:admin"},
    {"limits_tenant", "instance:admin"},
    {"limits_tenant_put", "instance:admin"},
    {"limits_tenant_delete", "instance:admin"},
    {"audit", "server:admin instance:read instance:admin"},
    {"audit_head", "instance:read instance:admin"},
    {"openapi", "open"},
    {"healthz", "open"},
    {"readyz", "open"},
    {"readyz_ingest", "open"},
    {"metrics", "instance:read instance:admin"},
    {"index", "*"},
};

// Where a request goes. What another tenant's key may do is in foreign_test.cc.
enum class Target { own, absent };

struct Place {
  std::string stream, view;
};
Place place_of(Target target) {
  return target == Target::own ? Place{"retail", "customers"} : Place{"absent", "absent"};
}

std::string path_of(std::string_view path, const Place& place) {
  std::string out(path);
  const std::map<std::string, std::string> values{
      {"{stream}", place.stream}, {"{view}", place.view}, {"{key}", "1"},
      {"{shard}", "0"},           {"{id}", "1"},          {"{sequence}", "1"},
      {"{group}", "g"},           {"{tenant}", "acme"},   {"{sha256}", std::string(64, 'a')}};
  for (const auto& [name, value] : values)
    if (const auto at = out.find(name); at != std::string::npos) out.replace(at, name.size(), value);
  EXPECT_EQ(out.find('{'), std::string::npos) << out;
  return out;
}

bool expected(std::string_view label, const std::string& scope, const Place& place) {
  const std::string_view allowed = kAllowed.at(label);
  if (allowed == "*" || allowed == "open") return true;
  const std::string list = " " + std::string(allowed) + " ";
  const auto has = [&](const std::string& word) { return list.find(" " + word + " ") != std::string::npos; };
  const auto one = [&](const std::string& prefix, const char* letter) {
    return scope.starts_with(prefix) && has(std::string(letter) + ":" + scope.substr(prefix.size()));
  };
  return has(scope) || one("stream:" + place.stream + ":", "S") || one("stream:*:", "S") ||
         one("view:" + place.view + ":", "V") || one("view:*:", "V") || one("view:customers:", "C") ||
         one("view:*:", "C") || one("view:invoices:", "I") || one("view:*:", "I");
}

TEST_F(KeysApi, PermissionMatrix) {
  std::map<std::string, std::string> holders;
  for (const std::string name : {"retail", "absent", "other", "*"})
    for (const char* action : {"write", "read", "admin"}) {
      const std::string scope = "stream:" + name + ":" + action;
      holders[scope] = key({scope});
    }
  for (const std::string name : {"customers", "invoices", "absent", "*"})
    for (const char* action : {"query", "admin"}) {
      const std::string scope = "view:" + name + ":" + action;
      holders[scope] = key({scope});
    }
  for (const char* scope : {"server:read", "server:admin", "instance:read", "instance:admin"})
    holders[scope] = key({scope});
  const std::string revoked = key({"instance:admin"});
  ASSERT_TRUE(world.keys->revoke(ids.at(revoked), {}));
  const std::string expired = key({"instance:admin"}, "default", WallTime(1s));
  const std::string other = key({"instance:admin"});
  std::string mistyped = other;
  mistyped[20] = mistyped[20] == 'a' ? 'b' : 'a';

  std::size_t cells = 0;
  const auto cell = [&](const Route& route, const Place& place, const std::string& key, const std::string& about) {
    ++cells;
    // An unknown parameter: who is let in is told of it, and nothing is done. Nobody else learns that.
    const std::string path = path_of(route.path, place) + "?matrix=1";
    const std::string type = std::string(route.takes.substr(0, route.takes.find(',')));
    RawClient client(world.server->port());
    client.send(ApiWorld::request(route.method, path, {},
                                  bearer(key) + (type.empty() ? "" : "Content-Type: " + type + "\r\n")));
    const ClientAnswer answer = client.answer();
    EXPECT_FALSE(answer.closed) << about;
    return answer;
  };
  for (const Route& route : table(world)) {
    ASSERT_TRUE(kAllowed.count(route.label)) << "what may a key do with the route " << route.label << "?";
    const bool open = kAllowed.at(route.label) == "open";
    for (const Target target : {Target::own, Target::absent}) {
      const Place place = place_of(target);
      for (const auto& [scope, key] : holders) {
        const std::string about = std::string(route.label) + " of " + place.stream + " by " + scope;
        const ClientAnswer answer = cell(route, place, key, about);
        if (open) {
          EXPECT_EQ(answer.status, 200) << about;
        } else if (expected(route.label, scope, place) && (route.label == "index" || route.label == "metrics")) {
          EXPECT_EQ(answer.status, 200) << about;  // takes any parameter
        } else if (expected(route.label, scope, place)) {
          EXPECT_EQ(answer.code(), "invalid_parameter") << about << " " << answer.body;
        } else {
          EXPECT_EQ(answer.status, 403) << about;
          EXPECT_EQ(answer.code(), "forbidden") << about;
        }
      }
      for (const auto& [state, key] : std::map<std::string, std::string>{
               {"No key came", ""}, {"was revoked", revoked}, {"has expired", expired}, {"mistyped", mistyped}}) {
        const std::string about = std::string(route.label) + " of " + place.stream + ": " + state;
        const ClientAnswer answer = cell(route, place, key, about);
        EXPECT_EQ(answer.status, open ? 200 : 401) << about;
        if (open) continue;
        EXPECT_EQ(answer.code(), "unauthorized") << about;
        EXPECT_THAT(answer.body, HasSubstr(state));
        EXPECT_THAT(answer.headers.at("www-authenticate"), HasSubstr("Bearer")) << about;
      }
    }
  }
  EXPECT_EQ(kAllowed.size(), table(world).size());
  std::printf("permission matrix: %zu routes, %zu cells\n", kAllowed.size(), cells);
}

}  // namespace
}  // namespace tidemill
