#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/api/api_world.h"
#include "tests/api/issued_key.h"

namespace tidemill {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Json = nlohmann::json;

// A server with an audit trail, and keys.
struct AuditApi : ::testing::Test {
  ApiWorld world{{}, null_logger(), true};

  struct OneKey {
    std::string text;
    std::string id;
  };
  OneKey key(const std::vector<std::string>& scopes, std::string tenant = "default") {
    const auto issued = issue(*world.keys, scopes, std::move(tenant));
    return {text_of(issued), to_text(issued.key.id)};
  }
  ClientAnswer send(const std::string& method, const std::string& path, const OneKey& by, const std::string& body = {},
                    const std::string& type = "application/json") {
    std::string headers = bearer(by.text);
    if (!body.empty()) headers += "Content-Type: " + type + "\r\n";
    return world.ask(ApiWorld::request(method, path, body, headers));
  }
  // What has happened until now, as `by` is shown it.
  std::vector<Json> events(const OneKey& by, const std::string& query = "action=a*") {
    world.audit->flush();
    const ClientAnswer answer = send("GET", "/v1/audit?limit=1000&" + query, by);
    EXPECT_EQ(answer.status, 200) << answer.body;
    std::vector<Json> out;
    const Json body = answer.json();
    for (const auto& e : body["events"]) out.push_back(e);
    return out;
  }
  static bool has(const std::vector<Json>& events, const Json& part) {
    return std::any_of(events.begin(), events.end(), [&](const Json& e) {
      return std::all_of(part.items().begin(), part.items().end(),
                         [&](const auto& item) { return e.contains(item.key()) && e[item.key()] == item.value(); });
    });
  }
};

TEST_F(AuditApi, WithoutKeysNothingIsWritten) {
  EXPECT_EQ(send("GET", "/v1/streams", {}).status, 200);
  EXPECT_EQ(send("PUT", "/v1/streams/other", {}, R"({"shards":1})").status, 201);
  world.audit->flush();
  EXPECT_EQ(world.audit->log(), nullptr);
  EXPECT_EQ(world.engine->cut().streams.back().name, "other");
  // What changed is in the system stream all the same.
  EXPECT_TRUE(
      has(events({}, "action=stream.*"), {{"action", "stream.created"}, {"name", "other"}, {"log", "_system"}}));
}

TEST_F(AuditApi, EveryKindOfDenialIsNoted) {
  const OneKey admin = key({"instance:admin"});
  const OneKey till = key({"stream:retail:write"});
  const OneKey gone = key({"server:read"});
  ASSERT_TRUE(world.keys->revoke(*parse_key_id(gone.id), {}));
  OneKey wrong = till;
  wrong.text[20] = wrong.text[20] == 'a' ? 'b' : 'a';
  send("GET", "/v1/streams", {});
  send("GET", "/v1/streams", gone);
  send("GET", "/v1/streams", wrong);
  send("GET", "/v1/streams/retail/records", till);                    // by the table
  send("POST", "/v1/sql", till, R"({"sql":"DROP VIEW customers"})");  // by a handler
  send("GET", "/v1/streams/other", till);                             // where no one scope is meant
  const auto all = events(admin);
  EXPECT_TRUE(has(all, {{"reason", "forbidden"}, {"needs", "any scope of the stream other, or server:read"}}));
  EXPECT_TRUE(
      has(all, {{"action", "auth.denied"}, {"reason", "no_key"}, {"route", "streams"}, {"address", "127.0.0.1"}}));
  EXPECT_TRUE(has(all, {{"reason", "revoked"}, {"key", gone.id}, {"tenant", "default"}}));
  EXPECT_TRUE(has(all, {{"reason", "malformed"}, {"route", "streams"}}));
  EXPECT_TRUE(has(all, {{"reason", "forbidden"},
                        {"key", till.id},
                        {"needs", "stream:retail:read"},
                        {"method", "GET"},
                        {"route", "records"},
                        {"name", "retail"},
                        {"count", 1}}));
  EXPECT_TRUE(
      has(all, {{"reason", "forbidden"}, {"key", till.id}, {"route", "sql"}, {"needs", "view:customers:admin"}}));
  EXPECT_TRUE(has(all, {{"action", "auth.accepted"}, {"key", till.id}, {"address", "127.0.0.1"}}));
}

// Of a tail and of a watched view, each once: where the key ends, and where the first key does.
TEST_F(AuditApi, AnAnswerThatEndsWithItsKeyIsNotedAndCounted) {
  const std::pair<const char*, const char*> followed[] = {{"/v1/streams/retail/records", "records"},
                                                          {"/v1/views/customers/changes", "view_changes"}};
  const auto follow = [&](const char* path, const OneKey& by) {
    auto client = std::make_unique<RawClient>(world.server->port());
    const std::string key = by.text.empty() ? "" : "Authorization: Bearer " + by.text + "\r\n";
    client->send(ApiWorld::request("GET", path, {}, key + "Accept: text/event-stream\r\n"));
    EXPECT_EQ(client->answer().status, 200) << path;
    return client;
  };
  const auto anybody = follow(followed[0].first, {});
  ASSERT_EQ(send("POST", "/v1/keys", {}, R"({"name":"first","scopes":["instance:admin"]})").status, 201);
  EXPECT_NE(anybody->until("\r\n0\r\n\r\n"), "");
  const OneKey admin = key({"instance:admin"});
  for (const auto& [path, route] : followed) {
    const OneKey revoked = key({"server:admin"}), rotated = key({"server:admin"});
    const auto one = follow(path, revoked), other = follow(path, rotated), stays = follow(path, admin);
    ASSERT_EQ(send("DELETE", "/v1/keys/" + revoked.id, admin).status, 204);
    ASSERT_EQ(send("POST", "/v1/keys/" + rotated.id + "/rotate", admin, R"({"grace_seconds":0})").status, 200);
    EXPECT_NE(one->until("\r\n0\r\n\r\n"), "");
    EXPECT_NE(other->until("\r\n0\r\n\r\n"), "");
    const std::string name = std::string(route) == "records" ? "retail" : "customers";
    const auto ended = events(admin, "action=auth.ended");
    for (const auto& [key, reason] : {std::pair(revoked.id, "revoked"), std::pair(rotated.id, "replaced")})
      EXPECT_TRUE(has(ended, {{"reason", reason},
                              {"key", key},
                              {"tenant", "default"},
                              {"method", "GET"},
                              {"route", route},
                              {"name", name},
                              {"address", "127.0.0.1"},
                              {"count", 1}}))
          << Json(ended);
  }
  const auto ended = events(admin, "action=auth.ended");
  EXPECT_EQ(ended.size(), 5u) << Json(ended);
  EXPECT_TRUE(has(ended, {{"reason", "first_key"}, {"route", "records"}, {"name", "retail"}}));
  EXPECT_FALSE(has(ended, {{"key", admin.id}}));
  const std::string metrics = send("GET", "/metrics", admin).body;
  for (const char* line : {"revoked\"} 2\n", "replaced\"} 2\n", "first_key\"} 1\n", "expired\"} 0\n"})
    EXPECT_THAT(metrics, HasSubstr(std::string("tidemill_answers_ended_total{reason=\"") + line));
}

// Before its body has come, too.
TEST_F(AuditApi, WhoIsRefusedByTheHeadIsNotedWithTheAddress) {
  const OneKey admin = key({"instance:admin"});
  const OneKey reader = key({"stream:retail:read"});
  for (const std::string& sent : {std::string(), "Authorization: Bearer " + reader.text + "\r\n"}) {
    RawClient client(world.server->port());
    client.send("POST /v1/streams/retail/records HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n" + sent +
                "Content-Length: 1000\r\n\r\n");
    EXPECT_EQ(client.answer().status, sent.empty() ? 401 : 403);
  }
  const auto all = events(admin);
  EXPECT_TRUE(has(all, {{"reason", "no_key"}, {"method", "POST"}, {"address", "127.0.0.1"}}));
  EXPECT_TRUE(has(all, {{"reason", "forbidden"}, {"key", reader.id}, {"address", "127.0.0.1"}}));
}

TEST_F(AuditApi, WhoAskedForAChangeIsNoted) {
  const OneKey admin = key({"instance:admin"});
  EXPECT_EQ(send("PUT", "/v1/streams/other", admin, R"({"shards":1})").status, 201);
  EXPECT_EQ(send("DELETE", "/v1/streams/other", admin).status, 204);
  EXPECT_EQ(send("POST", "/v1/sql", admin, R"({"sql":"CREATE VIEW n AS SELECT count(*) AS n FROM retail"})").status,
            400)
      << "not one of ours: refused, and asked for nothing";
  send("POST", "/v1/sql", admin, R"({"sql":"CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM retail"})");
  const auto asked = events(admin, "action=change.asked");
  EXPECT_TRUE(has(asked, {{"key", admin.id}, {"route", "stream_put"}, {"name", "other"}, {"method", "PUT"}}));
  EXPECT_TRUE(has(asked, {{"key", admin.id}, {"route", "stream_delete"}, {"name", "other"}}));
  EXPECT_TRUE(has(asked, {{"key", admin.id}, {"route", "sql"}, {"name", "n"}}));
  // Records are none.
  send("POST", "/v1/streams/retail/records", admin, std::string(kGood));
  EXPECT_FALSE(has(events(admin, "action=change.asked"), {{"route", "ingest"}}));
  // What came of it, and who made which key.
  const auto made = send("POST", "/v1/keys", admin, R"({"name":"x","scopes":["server:read"]})").json();
  EXPECT_TRUE(has(events(admin, "action=key.created&key=" + made["id"].get<std::string>()),
                  {{"by", admin.id}, {"id", made["id"]}, {"tenant", "default"}, {"name", "x"}}));
}

TEST_F(AuditApi, ATenantsAdminIsShownItsOwnOnly) {
  const OneKey root = key({"instance:admin"});
  const OneKey watcher = key({"instance:read"});
  const OneKey acme = key({"server:admin"}, "acme");
  const OneKey ours = key({"server:admin"});
  const OneKey reader = key({"server:read"});
  send("GET", "/v1/cut", acme);
  send("GET", "/v1/cut", ours);
  send("GET", "/v1/cut", {});
  for (const OneKey* who : {&root, &watcher}) {
    const auto all = events(*who, "action=auth.denied");
    EXPECT_TRUE(has(all, {{"tenant", "acme"}}));
    EXPECT_TRUE(has(all, {{"tenant", "default"}}));
    EXPECT_TRUE(has(all, {{"reason", "no_key"}}));
  }
  for (const Json& e : events(acme, "")) EXPECT_EQ(e.value("tenant", ""), "acme") << e;
  EXPECT_THAT(events(acme, "key=" + ours.id), IsEmpty());
  EXPECT_FALSE(events(ours, "action=auth.denied").empty());
  EXPECT_EQ(send("GET", "/v1/audit", reader).code(), "forbidden");
  EXPECT_EQ(send("GET", "/v1/audit/head", ours).code(), "forbidden");
}

TEST_F(AuditApi, WrongParametersAreSaid) {
  const OneKey admin = key({"instance:admin"});
  for (const char* query :
       {"key=x", "key=", "from=yesterday", "until=5", "action=", "limit=0", "limit=1001", "limit=-1", "cursor=1",
        "cursor=0-1", "cursor=1-", "cursor=-", "cursor=1-2-3", "cursor=99999999999999999999-1", "what=1"}) {
    const ClientAnswer answer = send("GET", std::string("/v1/audit?") + query, admin);
    EXPECT_EQ(answer.code(), "invalid_parameter") << query << " " << answer.body;
  }
  EXPECT_EQ(send("GET", "/v1/audit?cursor=99999-99999", admin).status, 200) << "beyond the end";
  // What can only be a mistake is not answered as if nothing had happened.
  for (const char* action : {"denied", "auth.denid", "key.used", "keys.*", "*.created", "AUTH.DENIED"}) {
    const ClientAnswer answer = send("GET", std::string("/v1/audit?action=") + action, admin);
    EXPECT_EQ(answer.code(), "invalid_parameter") << action;
    EXPECT_THAT(answer.body, HasSubstr("auth.denied, auth.ended, change.asked")) << action;
  }
  for (const char* action : {"*", "a*", "auth.denied", "auth.denied*", "view.d*"})
    EXPECT_EQ(send("GET", std::string("/v1/audit?action=") + action, admin).status, 200) << action;
  for (const char* until : {"2026-01-30T00:00:00Z", "2026-01-31T00:00:00Z"}) {
    const ClientAnswer answer = send("GET", std::string("/v1/audit?from=2026-01-31T00:00:00Z&until=") + until, admin);
    EXPECT_EQ(answer.code(), "invalid_parameter") << until;
    EXPECT_THAT(answer.body, HasSubstr("Nothing is between `from` 2026-01-31T00:00:00.000Z")) << until;
  }
}

TEST_F(AuditApi, HeadsAreOfBothLogs) {
  const OneKey admin = key({"instance:admin"});
  send("GET", "/v1/cut", {});
  world.audit->flush();
  const Json heads = send("GET", "/v1/audit/head", admin).json()["heads"];
  ASSERT_EQ(heads.size(), 2u);
  EXPECT_EQ(heads[0]["log"], "_system");
  EXPECT_EQ(heads[0]["sequence"], world.engine->system().log().durable().value());
  EXPECT_EQ(heads[0]["sha256"].get<std::string>().size(), 64u);
  EXPECT_EQ(heads[1]["log"], "_audit");
  EXPECT_GT(heads[1]["sequence"], 0);
}

// Nothing of a secret gets into the trail, whatever is sent.
// Who asks for a kind of event, or for a key's, is told that there were more than are shown.
TEST_F(AuditApi, WhatWasSummedComesWithWhatItSums) {
  const OneKey admin = key({"instance:admin"});
  const OneKey till = key({"stream:retail:write"});
  const OneKey foreign = key({"stream:retail:write"}, "acme");
  for (int i = 0; i < 100; ++i) send("GET", "/v1/streams/s" + std::to_string(i), till);
  const Json sum = {{"action", "audit.summed"}, {"of", "auth.denied"}, {"tenant", "default"}};
  const auto counted = [&](const std::string& query) {
    std::uint64_t n = 0;
    for (const Json& e : events(admin, query)) n += e.value("count", std::uint64_t{1});
    return n;
  };
  for (const std::string& query :
       {std::string("action=auth.denied"), std::string("action=auth.*"), std::string("action=audit.summed"),
        "key=" + till.id, "action=auth.denied&key=" + till.id})
    EXPECT_TRUE(has(events(admin, query), sum)) << query;
  EXPECT_EQ(counted("action=auth.denied"), 100u);
  EXPECT_FALSE(has(events(admin, "action=auth.accepted"), sum));
  EXPECT_FALSE(has(events(admin, "action=change.asked"), sum));
  EXPECT_FALSE(has(events(admin, "key=" + foreign.id), sum));
}

TEST_F(AuditApi, NoSecretIsInTheTrail) {
  const OneKey admin = key({"instance:admin"});
  const OneKey till = key({"stream:retail:write"});
  OneKey wrong = till;
  wrong.text[30] = wrong.text[30] == 'a' ? 'b' : 'a';
  send("GET", "/v1/cut", till);
  send("GET", "/v1/cut", wrong);
  world.ask(ApiWorld::request("GET", "/v1/cut", {}, "Authorization: Basic c2VjcmV0OnNlY3JldA==\r\n"));
  // Where an id or a name belongs.
  send("DELETE", "/v1/keys/" + till.text, admin);
  send("DELETE", "/v1/keys/" + till.text.substr(17), admin);
  send("GET", "/v1/streams/" + till.text + "/records", till);
  send("PUT", "/v1/limits/tenants/" + till.text, till, "{}");
  std::string text;
  for (const Json& e : events(admin, "")) text += e.dump();
  EXPECT_THAT(text, HasSubstr(till.id));
  EXPECT_THAT(text, HasSubstr("\"name\":\"(not an id)\""));
  EXPECT_THAT(text, HasSubstr("stream:tm_" + till.id + "_***:read"));
  for (const OneKey& one : {admin, till, wrong}) EXPECT_THAT(text, Not(HasSubstr(one.text.substr(17))));
  EXPECT_THAT(text, Not(HasSubstr("c2Vjc")));
  EXPECT_THAT(text, Not(HasSubstr("sha256")));
}

}  // namespace
}  // namespace tidemill
