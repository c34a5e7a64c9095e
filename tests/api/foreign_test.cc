// Keys of another tenant, at every route that names a thing and every list: what is not theirs is as if nobody had it,
// and the same request by who owns it passes, so it is not refused for something else.

#include <gmock/gmock.h>

#include <set>

#include "tests/api/keys_world.h"
#include "tests/api/tls_client.h"

namespace tidemill {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::vector<std::string> kScopes{"stream:*:write", "stream:*:read", "stream:*:admin",
                                       "view:*:query",   "view:*:admin",  "server:read",
                                       "server:admin",   "instance:read", "instance:admin"};

// What a path's names stand for: things of the default tenant, made for one route, or things that nobody has.
using Names = std::map<std::string, std::string>;

std::string filled(std::string text, const Names& names) {
  for (const auto& [name, value] : names)
    for (auto at = text.find(name); at != text.npos; at = text.find(name, at + value.size()))
      text.replace(at, name.size(), value);
  return text;
}

std::string without(std::string text, const Names& names) {
  for (const auto& [name, value] : names)
    if (value.size() > 3)
      for (auto at = text.find(value); at != text.npos; at = text.find(value)) text.replace(at, value.size(), "NAME");
  return text;
}

struct ForeignApi : KeysApi {
  std::string operators = key({"instance:admin"});
  std::string certificate = ClientCertificate("till").pem();

  // A body that its owner may send. A route that takes one and is not here fails.
  std::string body_of(const Route& route) {
    if (route.takes.empty()) return {};
    const std::map<std::string_view, std::string> bodies{
        {"ingest", R"({"InvoiceNo":"2"})"},
        {"stream_put", R"({"partition_key":"InvoiceNo"})"},
        {"shard_split", "{}"},
        {"shard_merge", R"({"with":1})"},
        {"view_put", R"({"sql":"SELECT InvoiceNo AS no, count(*) AS n FROM {stream} GROUP BY 1"})"},
        {"view_decide_many", R"({"decision":"skip"})"},
        {"view_decide", R"({"decision":"skip"})"},
        {"key_rotate", R"({"grace_seconds":0})"},
        {"key_bind", nlohmann::json{{"certificate", certificate}}.dump()},
        {"limits_key_put", R"({"requests":{"per_second":1000}})"},
        {"limits_tenant_put", R"({"requests":{"per_second":1000}})"},
    };
    const auto at = bodies.find(route.label);
    EXPECT_NE(at, bodies.end()) << route.label;
    return at == bodies.end() ? "{}" : at->second;
  }
  ClientAnswer ask(const Route& route, const Names& names, const std::string& key) {
    const std::string type(route.takes.substr(0, route.takes.find(',')));
    RawClient client(world.server->port());
    std::string path = filled(std::string(route.path), names);
    if (route.label == "view_why") path += "?key=1";
    // A tail has no end; its head says what there is to say.
    const std::string method = route.label == "view_changes" ? "HEAD" : std::string(route.method);
    client.send(ApiWorld::request(method, path, filled(body_of(route), names),
                                  bearer(key) + (type.empty() ? "" : "Content-Type: " + type + "\r\n")));
    return client.answer(method == "HEAD");
  }
  void must(const ClientAnswer& answer) { ASSERT_LT(answer.status, 300) << answer.body; }

  // Of the default tenant, with a row and a limit each.
  Names make(int n) {
    Names names{{"{stream}", "canary_s" + std::to_string(n)},
                {"{view}", "canary_v" + std::to_string(n)},
                {"{key}", "1"},
                {"{shard}", "0"},
                {"{sequence}", "1"},
                {"{tenant}", "canary-t" + std::to_string(n)},
                {"{sha256}", std::string(64, 'a')}};
    const std::string stream = "/v1/streams/" + names["{stream}"];
    must(send("PUT", stream, R"({"partition_key":"InvoiceNo","shards":4,"archive":false})", operators));
    must(send("PUT", "/v1/views/" + names["{view}"],
              filled(R"({"sql":"SELECT InvoiceNo AS no, count(*) AS n FROM {stream} GROUP BY 1"})", names), operators));
    must(send("POST", stream + "/records?ack=view", R"({"InvoiceNo":"1"})", operators));
    names["{group}"] = names["{stream}"] + ":views";
    const std::string secret = key({"stream:" + names["{stream}"] + ":write"});
    names["{id}"] = to_text(ids.at(secret));
    must(send("PUT", "/v1/limits/keys/" + names["{id}"], R"({"requests":{"per_second":1000}})", operators));
    return names;
  }
  static Names nobodys(Names names) {
    for (const char* name : {"{stream}", "{view}", "{group}", "{tenant}"})
      names[name] = "nobodys" + names[name].substr(6);
    names["{id}"] = "0000000000001";
    return names;
  }
};

TEST_F(ForeignApi, ANameOfAnotherTenantIsAnUnknownOne) {
  std::size_t cells = 0;
  int n = 0;
  std::set<std::string_view> spanning;
  const std::string record = R"({"InvoiceNo":"1","CustomerID":"7"})";
  must(send("POST", "/v1/streams/retail/records?ack=view", record, operators));
  for (const Route& route : table(world)) {
    if (route.path.find('{') == route.path.npos) continue;
    Names own = make(++n);
    if (route.path.starts_with("/customers/")) own["{id}"] = "7";
    if (route.path.starts_with("/invoices/")) own["{id}"] = "1";
    const Names absent = nobodys(own);
    // By id and by tenant, an operator's key goes over all tenants.
    const bool over_all = route.path.starts_with("/v1/keys") || route.path.starts_with("/v1/limits");
    const auto before = get("/v1/streams/" + own["{stream}"], operators).body;
    const auto key_before = over_all ? get("/v1/keys/" + own["{id}"], operators).body : "";
    for (const std::string& scope : kScopes) {
      SCOPED_TRACE(std::string(route.label) + " by acme's " + scope);
      if (over_all && scope == "instance:admin") continue;
      const std::string foreign = key({scope}, "acme");
      const ClientAnswer answer = ask(route, own, foreign);
      const ClientAnswer unknown = ask(route, absent, foreign);
      cells += 2;
      EXPECT_EQ(answer.status, unknown.status);
      if (answer.status == 201 && route.label == "stream_put") {  // one of its own, of the same name
        const std::string owner = key({"server:admin"}, "acme");
        EXPECT_EQ(send("DELETE", filled("/v1/streams/{stream}", own), "", owner).status, 204);
        EXPECT_EQ(send("DELETE", filled("/v1/streams/{stream}", absent), "", owner).status, 204);
        continue;
      }
      EXPECT_GE(answer.status, 400) << answer.body;
      EXPECT_EQ(without(answer.body, own), without(unknown.body, absent));
      if (over_all && scope == "server:admin" && route.path.find("{id}") != route.path.npos) {
        EXPECT_EQ(answer.code(), "key_not_found") << answer.body;
      }
    }
    SCOPED_TRACE(std::string(route.label) + " by its owner");
    EXPECT_EQ(get("/v1/streams/" + own["{stream}"], operators).body, before);
    EXPECT_EQ(over_all ? get("/v1/keys/" + own["{id}"], operators).body : "", key_before);
    // The control: who owns it is let through with the same request.
    static const std::set<std::string> kRefusals{
        "forbidden",        "unauthorized",   "invalid_body",   "invalid_parameter",      "target_invalid",
        "stream_not_found", "view_not_found", "key_not_found",  "unsupported_media_type", "method_not_allowed",
        "not_found",        "invalid_sql",    "group_not_found"};
    const ClientAnswer control = ask(route, own, operators);
    ++cells;
    EXPECT_FALSE(kRefusals.contains(control.status < 400 ? "" : control.code())) << control.body;
    // 404 or 409 of what stands behind the door: no such record, certificate or limit; a view reads the stream.
    const std::set<std::string_view> nothing_there{"view_decide", "key_unbind", "limits_tenant", "stream_delete"};
    if (!nothing_there.contains(route.label)) {
      EXPECT_LT(control.status, 300) << filled(std::string(route.path), own) << control.body;
    }
    if (over_all) {
      const ClientAnswer other = ask(route, own, key({"instance:admin"}, "acme"));
      EXPECT_NE(other.status, 403) << other.body;
      spanning.insert(route.label);
    }
  }
  EXPECT_GT(cells, 500u);
  EXPECT_EQ(spanning.size(), 11u) << "routes where an operator's key goes over all tenants";
  std::printf("foreign names: %d routes, %zu cells\n", n, cells);
}

TEST_F(ForeignApi, AStatementKnowsNothingOfAnothersNames) {
  const Names own = make(1);
  const Names absent = nobodys(own);
  const std::vector<std::string> statements{
      "SELECT * FROM {view}",
      "SELECT * FROM {stream}",
      "SELECT (SELECT count(*) FROM {view}) AS n",
      "EXPLAIN SELECT InvoiceNo AS no, count(*) AS n FROM {stream} GROUP BY 1",
      "CREATE MATERIALIZED VIEW mine AS SELECT InvoiceNo AS no, count(*) AS n FROM {stream} GROUP BY 1",
      "CREATE STREAM mine AS SELECT * FROM {stream} WHERE InvoiceNo = '1'",
      "ALTER MATERIALIZED VIEW {view} AS SELECT InvoiceNo AS no, max(InvoiceNo) AS n FROM {stream} GROUP BY 1",
      "DROP STREAM {stream}",
      "DROP MATERIALIZED VIEW {view}",
  };
  for (const std::string& statement : statements) {
    for (const std::string& scope : kScopes) {
      SCOPED_TRACE(statement + " by acme's " + scope);
      const std::string foreign = key({scope}, "acme");
      const ClientAnswer answer = sql(filled(statement, own), foreign);
      const ClientAnswer unknown = sql(filled(statement, absent), foreign);
      EXPECT_GE(answer.status, 400) << answer.body;
      EXPECT_EQ(answer.status, unknown.status) << answer.body;
      EXPECT_EQ(without(answer.body, own), without(unknown.body, absent));
    }
  }
  for (const std::string& statement : statements) {
    const std::string code = sql(filled(statement, own), operators).code();
    // A stream is not queried, whoever asks; and what others are made of is not dropped.
    const bool no = statement == "SELECT * FROM {stream}" || statement == "DROP STREAM {stream}";
    EXPECT_EQ(code.empty(), !no) << statement << ": " << code;
  }
}

// What a list shows to a key of another tenant. An operator's goes over all tenants in some.
TEST_F(ForeignApi, NoListShowsAnothersThings) {
  Names own = make(1);
  get("/v1/streams/" + own["{stream}"] + "/records", key({"server:read"}));  // denied: of the audit trail
  const std::set<std::string_view> over_all{"metrics", "audit",       "audit_head",    "cut",
                                            "keys",    "limits_keys", "limits_tenants"};
  const std::set<std::string_view> has_names{"streams", "views",   "groups", "keys", "limits_keys",
                                             "cut",     "metrics", "audit",  "index"};
  std::size_t lists = 0;
  for (const Route& route : table(world)) {
    if (route.method != "GET" || route.path.find('{') != route.path.npos || route.label == "openapi") continue;
    ++lists;
    const auto shows = [&](const std::string& key) {
      const std::string body = get(std::string(route.path), key).body;
      bool found = false;
      for (const char* name : {"{stream}", "{view}", "{id}"}) found |= body.find(own[name]) != body.npos;
      return found;
    };
    for (const std::string& scope : kScopes) {
      if (scope.starts_with("instance:") && over_all.contains(route.label)) continue;
      EXPECT_FALSE(shows(key({scope}, "acme"))) << route.label << " by acme's " << scope;
    }
    if (has_names.contains(route.label)) {
      EXPECT_TRUE(shows(operators)) << route.label << " shows its owner nothing";
    }
  }
  EXPECT_GE(lists, 16u);
}

}  // namespace
}  // namespace tidemill
