#include <gmock/gmock.h>

#include <map>

#include "tests/api/keys_world.h"

namespace tidemill {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

struct KeysHistoryApi : KeysApi {
  KeysHistoryApi() : KeysApi(10ms) {}
};

// Kept points have all tenants' views: a key is shown, and reads, its own.
TEST_F(KeysHistoryApi, PointsShowAndReadWhatTheKeyMay) {
  StreamDefinition theirs;
  theirs.name = "retail";
  theirs.tenant = "acme";
  theirs.partition_key = "InvoiceNo";
  ASSERT_TRUE(world.engine->create(theirs, 1));
  const auto made = world.all_views->of("acme")->create("customers", "SELECT count(*) AS n FROM retail");
  ASSERT_TRUE(std::holds_alternative<views::ViewInfo>(made));
  const std::string operators = key({"instance:admin"});
  const std::string board = key({"view:customers:query"});
  const std::string acme = key({"server:admin"}, "acme");
  const std::string record = R"({"InvoiceNo":"1","CustomerID":"7"})";
  ASSERT_EQ(send("POST", "/v1/streams/retail/records?ack=view", record, operators).status, 200);

  // Of the first point that has the record: its views and sequences, as the key is shown them.
  using Views = std::map<std::string, int>;
  const auto views_of = [](const nlohmann::json& point) {
    Views views;
    for (const auto& v : point["views"]) views[v["view"]] = v["sequence"];
    return views;
  };
  nlohmann::json point;
  for (int i = 0; i < 2'000 && point.is_null(); ++i) {
    const auto history = get("/v1/history", operators).json();
    for (const auto& p : history["points"])
      if (views_of(p) == Views{{"customers", 1}, {"invoices", 1}}) point = p;
    if (point.is_null()) std::this_thread::sleep_for(5ms);
  }
  ASSERT_FALSE(point.is_null()) << get("/v1/history", operators).body;
  EXPECT_TRUE(point.contains("bytes"));
  const auto shown = [&](const std::string& key) -> Views {
    const auto history = get("/v1/history", key).json();
    EXPECT_FALSE(history.contains("bytes"));
    for (const auto& p : history["points"]) {
      EXPECT_FALSE(p.contains("bytes"));
      if (p["number"] == point["number"]) return views_of(p);
    }
    return {};
  };
  EXPECT_EQ(shown(board), (Views{{"customers", 1}}));
  EXPECT_EQ(shown(acme), (Views{{"customers", 0}}));
  EXPECT_EQ(shown(key({"stream:retail:write"})), Views{});

  const auto at = [&](const char* statement, const std::string& key) {
    return send("POST", "/v1/sql", nlohmann::json{{"sql", statement}, {"at", point["made"]}}.dump(), key);
  };
  EXPECT_EQ(at("SELECT customer_id FROM customers", board).json()["rows"].dump(), R"([["7"]])");
  EXPECT_THAT(at("SELECT * FROM invoices", board).body, HasSubstr("There is no view invoices."));
  EXPECT_EQ(at("SELECT * FROM customers", acme).json()["rows"].size(), 0u);
  EXPECT_THAT(at("SELECT * FROM invoices", acme).body, HasSubstr("There is no view invoices."));
}

// A name that is not there and one that is answer alike to who may not have it, and only who may learns which.
TEST_F(KeysApi, ExistenceIsNotToldToWhoMayNot) {
  const std::string retail = key({"stream:retail:read"});
  EXPECT_EQ(get("/v1/streams/absent", retail).status, 403);
  EXPECT_EQ(get("/v1/views/customers", retail).status, 403);
  EXPECT_EQ(get("/v1/views/absent", retail).status, 403);
  EXPECT_EQ(get("/v1/streams/absent", key({"stream:*:read"})).code(), "stream_not_found");
  EXPECT_EQ(get("/v1/streams/retail", retail).status, 200);
  EXPECT_THAT(get("/v1/streams/absent", retail).body,
              HasSubstr("It needs any scope of the stream absent, or server:read."));
  EXPECT_THAT(get("/v1/views/absent", retail).body,
              HasSubstr("It needs any scope of the view absent, or server:read."));
  EXPECT_EQ(get("/v1/streams/%72etail", retail).status, 200);
  EXPECT_EQ(get("/v1/streams/_system", key({"stream:*:admin"})).code(), "stream_not_found");
}

TEST_F(KeysApi, ListsShowWhatTheKeyMaySee) {
  ASSERT_TRUE(world.engine->create(
      [] {
        StreamDefinition d;
        d.name = "secret";
        return d;
      }(),
      1));
  const auto names = [](const ClientAnswer& answer, const char* list) {
    std::vector<std::string> out;
    const auto json = answer.json();
    for (const auto& one : json[list]) out.push_back(one["name"]);
    return out;
  };
  using ::testing::ElementsAre;
  using ::testing::IsEmpty;
  const std::string producer = key({"stream:retail:write"});
  EXPECT_THAT(names(get("/v1/streams", producer), "streams"), ElementsAre("retail"));
  EXPECT_THAT(names(get("/v1/views", producer), "views"), IsEmpty());
  EXPECT_THAT(get("/v1/streams/retail", producer).json()["views"], IsEmpty());
  EXPECT_THAT(get("/", producer).body, Not(HasSubstr("secret")));
  EXPECT_THAT(get("/", producer).body, Not(HasSubstr("customers")));
  const std::string analyst = key({"view:customers:query"});
  EXPECT_THAT(names(get("/v1/views", analyst), "views"), ElementsAre("customers"));
  EXPECT_THAT(names(get("/v1/streams", analyst), "streams"), IsEmpty());
  EXPECT_THAT(names(get("/v1/views", key({"server:read"})), "views"), ElementsAre("customers", "invoices"));
}

TEST_F(KeysApi, AViewThatAKeyMayNotQueryDoesNotExistForSql) {
  const std::string analyst = key({"view:customers:query"});
  EXPECT_EQ(sql("SELECT count(*) AS n FROM customers", analyst).status, 200);
  const auto detail = [&](const std::string& statement) { return sql(statement, analyst).json().value("detail", ""); };
  for (const std::string statement :
       {"SELECT * FROM NAME", "SELECT count(*) FROM NAME", "SELECT 1 FROM customers, NAME",
        "EXPLAIN SELECT * FROM NAME", "SELECT * FROM \"NAME\"", "SELECT * FROM [NAME]",
        "WITH a AS (SELECT * FROM NAME) SELECT * FROM a", "SELECT (SELECT count(*) FROM NAME)",
        "SELECT * FROM customers UNION ALL SELECT * FROM NAME"}) {
    const auto with = [&](const std::string& name) {
      std::string s = statement;
      s.replace(s.find("NAME"), 4, name);
      return detail(s);
    };
    std::string hidden = with("invoices");
    std::string unknown = with("nonsense");
    EXPECT_THAT(hidden, HasSubstr("There is no view invoices")) << statement;
    hidden.replace(hidden.find("invoices"), 8, "nonsense");
    EXPECT_EQ(hidden, unknown) << "told alike";
  }
  EXPECT_THAT(detail("SELECT * FROM customer"), HasSubstr("Did you mean customers"));
  EXPECT_THAT(detail("SELECT * FROM invoice"), Not(HasSubstr("invoices")));
  EXPECT_THAT(detail("SELECT name FROM sqlite_master"), Not(HasSubstr("invoices")));
  // One key's connection is not another's.
  EXPECT_EQ(sql("SELECT count(*) AS n FROM invoices", key({"view:*:query"})).status, 200);
  EXPECT_EQ(sql("SELECT count(*) AS n FROM invoices", analyst).status, 400);
}

TEST_F(KeysApi, DefinitionsNeedTheirViewTheirStreamAndWhatTheyLookUp) {
  const std::string definition =
      "CREATE MATERIALIZED VIEW mine AS SELECT Country, count(*) AS n FROM retail GROUP BY 1";
  const std::string admin = key({"view:mine:admin"});
  ClientAnswer answer = sql(definition, admin);
  EXPECT_EQ(answer.code(), "forbidden");
  EXPECT_THAT(answer.body, HasSubstr("stream:retail:read"));
  EXPECT_EQ(sql(definition, key({"stream:retail:read"})).code(), "forbidden");
  EXPECT_THAT(sql(definition, key({"stream:retail:read"})).body, HasSubstr("view:mine:admin"));
  EXPECT_EQ(send("PUT", "/v1/views/mine", definition, admin, "application/sql").code(), "forbidden");
  EXPECT_EQ(send("PUT", "/v1/views/mine", "builtin:customers", admin, "application/sql").code(), "forbidden");
  EXPECT_EQ(sql("EXPLAIN " + definition, admin).code(), "forbidden") << "its trial shows records";
  EXPECT_EQ(sql("EXPLAIN SELECT Country, count(*) AS n FROM retail GROUP BY 1", admin).code(), "invalid_sql");

  const std::string both = key({"view:mine:admin", "stream:retail:read"});
  EXPECT_EQ(sql("EXPLAIN SELECT Country, count(*) AS n FROM retail GROUP BY 1", both).status, 200);
  EXPECT_EQ(sql(definition, both).status, 200);
  EXPECT_EQ(sql("DROP MATERIALIZED VIEW mine", key({"view:other:admin"})).code(), "forbidden");
  EXPECT_EQ(sql("DROP VIEW \"mine\"", key({"view:other:admin"})).code(), "forbidden");
  EXPECT_EQ(sql("ALTER VIEW mine AS SELECT Country, sum(Quantity) AS n FROM retail GROUP BY 1", admin).code(),
            "forbidden");
  const std::string lookup =
      "CREATE MATERIALIZED VIEW mine2 AS SELECT c.country AS country, count(*) AS n FROM retail LEFT JOIN customers c "
      "ON c.customer = CustomerID GROUP BY 1";
  const std::string two = key({"view:mine*:admin", "stream:retail:read"});
  answer = sql(lookup, two);
  EXPECT_EQ(answer.code(), "forbidden");
  EXPECT_THAT(answer.body, HasSubstr("view:customers:query"));
  EXPECT_EQ(sql("CREATE STREAM big AS SELECT * FROM retail WHERE Quantity > 100", two).code(), "forbidden");
  EXPECT_EQ(sql("CREATE STREAM big AS SELECT * FROM retail WHERE Quantity > 100", key({"stream:big:admin"})).code(),
            "forbidden");
  const std::string streams = key({"stream:big:admin", "stream:retail:read"});
  EXPECT_EQ(sql("CREATE STREAM big AS SELECT * FROM retail WHERE Quantity > 100", streams).status, 200);
  EXPECT_EQ(sql("DROP STREAM big", two).code(), "forbidden");
  EXPECT_EQ(sql("DROP STREAM big", streams).status, 200);
  EXPECT_EQ(sql("DROP MATERIALIZED VIEW mine", admin).status, 200);
}

TEST_F(KeysApi, RecordsBehindARowNeedTheStream) {
  const std::string producer = key({"stream:retail:write"});
  ASSERT_EQ(send("POST", "/v1/streams/retail/records?ack=view", std::string(kGood), producer).status, 200);
  const std::string analyst = key({"view:invoices:query"});
  EXPECT_EQ(get("/invoices/1", analyst).status, 200);
  EXPECT_EQ(get("/customers/1", analyst).code(), "forbidden");
  for (const char* path :
       {"/v1/views/invoices/why?key=1", "/v1/views/invoices/rows/1/why", "/v1/views/invoices/quarantine"}) {
    const ClientAnswer answer = get(path, analyst);
    EXPECT_EQ(answer.code(), "forbidden") << path;
    EXPECT_THAT(answer.body, HasSubstr("stream:retail:read")) << path;
    EXPECT_EQ(get(path, key({"view:invoices:query", "stream:retail:read"})).status, 200) << path;
  }
}

TEST_F(KeysApi, AKeyComesOnceAndInOneOfTwoWays) {
  const std::string good = key({"server:read"});
  EXPECT_EQ(world.get("/v1/groups", "Authorization: Bearer " + good + "\r\n").status, 200);
  EXPECT_EQ(world.get("/v1/groups", "authorization: bearer  " + good + "\r\n").status, 200);
  EXPECT_EQ(world.get("/v1/groups", "X-Api-Key: " + good + "\r\n").status, 200);
  for (const std::string& headers : std::vector<std::string>{
           "Authorization: Bearer " + good + "\r\nX-Api-Key: " + good + "\r\n",
           "X-Api-Key: " + good + "\r\nX-Api-Key: " + good + "\r\n",
           "Authorization: Bearer " + good + "\r\nAuthorization: Bearer " + good + "\r\n",
           "Authorization: Basic dXNlcjpwYXNz\r\n", "Authorization: " + good + "\r\n", "Authorization: Bearer\r\n",
           std::string("X-Api-Key: \r\n"), "X-Api-Key: " + good + ",\r\n", std::string("X-Api-Key: ' OR 1=1 --\r\n"),
           "X-Api-Key: " + std::string(4'000, 'a') + "\r\n"}) {
    const ClientAnswer answer = world.get("/v1/groups", headers);
    EXPECT_EQ(answer.status, 401) << headers;
    EXPECT_EQ(answer.body.find(good), std::string::npos);
  }
  // Not in a URL, where logs and histories keep it.
  EXPECT_EQ(world.get("/v1/groups?key=" + good).status, 401);
  // The next request of the same connection needs its own.
  RawClient client(world.server->port());
  client.send(ApiWorld::request("GET", "/v1/groups", {}, bearer(good)) + ApiWorld::request("GET", "/v1/groups") +
              ApiWorld::request("GET", "/v1/groups", {}, bearer(good)));
  EXPECT_EQ(client.answer().status, 200);
  EXPECT_EQ(client.answer().status, 401);
  EXPECT_EQ(client.answer().status, 200);
}

TEST_F(KeysApi, AKeyInTheUrlIsToldToComeInAHeader) {
  const std::string good = key({"stream:retail:read"});
  const std::string path = "/v1/streams/retail/records?";
  for (const std::string& query : {"key=" + good, "limit=1&api_key=" + good, "Access_Token=" + good + "&limit=1"}) {
    const auto answer = get(path + query, "");
    EXPECT_EQ(answer.status, 401) << query;
    EXPECT_THAT(answer.body,
                AllOf(HasSubstr("none is taken from the URL, for URLs end up in logs"),
                      HasSubstr("If the one there was good, rotate it. Send one as"), Not(HasSubstr(good))))
        << query;
  }
  for (const char* query : {"limit=1", "keys=x", "limit=key", "x=1&key2=a"})
    EXPECT_THAT(get(path + query, "").body, AllOf(HasSubstr("No key came."), Not(HasSubstr("URL")))) << query;
}

TEST_F(KeysApi, TheFirstKeyClosesTheDoorAndRevokingItDoesNotOpenIt) {
  EXPECT_EQ(get("/v1/streams", "").status, 200);
  EXPECT_EQ(get("/v1/streams", "anything").status, 200) << "there is nothing to hold it against";
  EXPECT_THAT(get("/", "").body, HasSubstr("There are no keys"));
  const auto make = [&](const char* body, const std::string& key) { return send("POST", "/v1/keys", body, key); };
  for (const char* body :
       {R"({"name":"a","scopes":["server:admin"]})", R"({"name":"a","scopes":["instance:admin"],"kind":"aws"})",
        R"({"name":"a","scopes":["instance:admin"],"expires":"2100-01-01T00:00:00Z"})"}) {
    EXPECT_THAT(make(body, "").body, HasSubstr("first key must")) << body;
  }
  const ClientAnswer first = make(R"({"name":"operator","scopes":["instance:admin"]})", "");
  ASSERT_EQ(first.status, 201) << first.body;
  EXPECT_EQ(first.headers.at("cache-control"), "no-store");
  const std::string admin = first.json()["key"];
  const std::string id = first.json()["id"];
  EXPECT_EQ(get("/v1/streams", "").status, 401);
  EXPECT_EQ(get("/v1/streams", admin).status, 200);
  EXPECT_THAT(get("/", admin).body, Not(HasSubstr("There are no keys")));
  EXPECT_EQ(send("DELETE", "/v1/keys/" + id, "", admin).status, 204);
  EXPECT_EQ(get("/v1/streams", admin).status, 401);
  EXPECT_EQ(get("/v1/streams", "").status, 401);
  EXPECT_EQ(get("/healthz", "").status, 200);
}

TEST_F(KeysApi, KeysAreMadeListedRotatedAndRevoked) {
  const std::string admin = key({"instance:admin"});
  const auto make = [&](const std::string& body) { return send("POST", "/v1/keys", body, admin); };
  const ClientAnswer made =
      make(R"({"name":"till \u00e4","scopes":["stream:retail:write"],"expires":"2100-01-01T00:00:00Z"})");
  ASSERT_EQ(made.status, 201) << made.body;
  const std::string id = made.json()["id"];
  const std::string old = made.json()["key"];
  EXPECT_EQ(made.json()["expires"], "2100-01-01T00:00:00.000Z");
  EXPECT_EQ(made.json()["state"], "active");
  ClientAnswer rotated = send("POST", "/v1/keys/" + id + "/rotate", R"({"grace_seconds":60})", admin);
  ASSERT_EQ(rotated.status, 200) << rotated.body;
  const std::string fresh = rotated.json()["key"];
  EXPECT_NE(fresh, old);
  EXPECT_FALSE(rotated.json()["older_until"].is_null());
  EXPECT_EQ(get("/v1/streams/retail", old).status, 200);
  EXPECT_EQ(get("/v1/streams/retail", fresh).status, 200);
  rotated = send("POST", "/v1/keys/" + id + "/rotate", R"({"grace_seconds":0})", admin);
  EXPECT_EQ(get("/v1/streams/retail", old).status, 401);
  EXPECT_EQ(get("/v1/streams/retail", fresh).status, 401);
  EXPECT_EQ(get("/v1/streams/retail", rotated.json()["key"]).status, 200);
  const ClientAnswer one = get("/v1/keys/" + id, admin);
  EXPECT_EQ(one.json()["name"], "till \u00e4");
  EXPECT_FALSE(one.json()["last_used"].is_null());
  EXPECT_FALSE(one.json().contains("key"));
  EXPECT_EQ(get("/v1/keys", admin).json()["keys"].size(), 2u);
  EXPECT_EQ(get("/v1/keys?limit=1", admin).json()["next"], id);
  EXPECT_EQ(get("/v1/keys?limit=1&from=" + id, admin).json()["keys"][0]["id"], id);
  EXPECT_EQ(get("/v1/keys?from=0000000000001", admin).code(), "invalid_parameter");
  EXPECT_EQ(send("DELETE", "/v1/keys/" + id, "", admin).status, 204);
  EXPECT_EQ(send("DELETE", "/v1/keys/" + id, "", admin).status, 204) << "again";
  EXPECT_EQ(get("/v1/keys/" + id, admin).json()["state"], "revoked");
  EXPECT_EQ(send("POST", "/v1/keys/" + id + "/rotate", "", admin).code(), "key_ended");
  for (const char* path : {"/v1/keys/0000000000001", "/v1/keys/x", "/v1/keys/zzzzzzzzzzzzz"})
    EXPECT_EQ(get(path, admin).code(), "key_not_found") << path;
  for (const char* body :
       {"", "[]", "{", R"({"name":"a"})", R"({"scopes":["server:read"]})", R"({"name":"","scopes":["server:read"]})",
        R"({"name":"a","scopes":["all"]})", R"({"name":"a","scopes":[1]})", R"({"name":"a","scopes":"server:read"})",
        R"({"name":"a","scopes":["server:read"],"kind":"x"})",
        R"({"name":"a","scopes":["server:read"],"expires":"soon"})",
        R"({"name":"a","scopes":["server:read"],"expires":"2001-01-01T00:00:00Z"})",
        R"({"name":"a","scopes":["server:read"],"tenant":"../x"})", R"({"name":"a\u0000b","scopes":["server:read"]})",
        R"({"name":"a","scopes":["server:read"],"id":"0000000000001"})"})
    EXPECT_EQ(make(body).code(), "invalid_body") << body;
  EXPECT_EQ(send("POST", "/v1/keys/" + id + "/rotate", R"({"grace_seconds":-1})", admin).code(), "invalid_body");
}

TEST_F(KeysApi, AnAwsKeyIsShownOnceAndIsNoKeyOfThisDoor) {
  const std::string admin = key({"instance:admin"});
  const ClientAnswer made =
      send("POST", "/v1/keys", R"({"name":"k","kind":"aws","scopes":["stream:retail:write"]})", admin);
  ASSERT_EQ(made.status, 201) << made.body;
  const std::string secret = made.json()["secret_access_key"];
  EXPECT_EQ(secret.size(), 40u);
  EXPECT_EQ(made.json()["access_key_id"].get<std::string>().size(), 20u);
  EXPECT_EQ(get("/v1/streams", secret).status, 401);
  const ClientAnswer by_access_key = get("/v1/streams", made.json()["access_key_id"].get<std::string>());
  EXPECT_EQ(by_access_key.status, 401);
  EXPECT_THAT(by_access_key.body, HasSubstr("the access key id of a key of kind aws, which is not taken here"));
  EXPECT_THAT(by_access_key.body, testing::Not(HasSubstr("mistyped")));
  EXPECT_EQ(get("/v1/keys", admin).body.find(secret), std::string::npos);
  const auto kept = world.keys->aws_secrets(*parse_key_id(made.json()["id"].get<std::string>()));
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->at(0).view(), secret);
}

TEST_F(KeysApi, ATenantsAdminGivesNothingThatIsNotTheTenants) {
  const std::string operators = key({"instance:admin"});
  const std::string acme = key({"server:admin"}, "acme");
  const auto make = [&](const char* scope, const char* tenant, const std::string& by) {
    nlohmann::json body{{"name", "x"}, {"scopes", {scope}}};
    if (*tenant) body["tenant"] = tenant;
    return send("POST", "/v1/keys", body.dump(), by);
  };
  EXPECT_EQ(make("stream:x:write", "", acme).json()["tenant"], "acme");
  EXPECT_EQ(make("stream:x:write", "default", acme).code(), "forbidden");
  EXPECT_EQ(make("instance:read", "", acme).code(), "forbidden");
  EXPECT_EQ(make("instance:admin", "acme", acme).code(), "forbidden");
  EXPECT_EQ(make("server:admin", "umbrella", operators).json()["tenant"], "umbrella");
  const std::string foreign = to_text(ids.at(operators));
  EXPECT_EQ(get("/v1/keys/" + foreign, acme).body, get("/v1/keys/0000000000001", acme).body) << "told alike";
  EXPECT_EQ(send("DELETE", "/v1/keys/" + foreign, "", acme).code(), "key_not_found");
  EXPECT_EQ(send("POST", "/v1/keys/" + foreign + "/rotate", "", acme).code(), "key_not_found");
  const auto listed = get("/v1/keys", acme).json();
  EXPECT_GE(listed["keys"].size(), 2u);
  for (const auto& one : listed["keys"]) EXPECT_EQ(one["tenant"], "acme");
  EXPECT_EQ(get("/v1/keys?limit=1", acme).json()["next"], listed["keys"][1]["id"]) << "and not how many others have";
  EXPECT_EQ(get("/v1/keys?from=" + foreign, acme).body, get("/v1/keys?from=0000000000001", acme).body) << "told alike";
  // Within the tenant, too: a key with more than its own scopes is not rotated into one's hands.
  const std::string reader = key({"instance:read"}, "acme");
  EXPECT_EQ(send("POST", "/v1/keys/" + to_text(ids.at(reader)) + "/rotate", "", acme).code(), "forbidden");
  EXPECT_EQ(send("DELETE", "/v1/keys/" + to_text(ids.at(reader)), "", acme).code(), "forbidden");
}

TEST_F(KeysApi, DenialsAreCountedAndNameNoKey) {
  const std::string admin = key({"instance:admin"});
  const std::string revoked = key({"server:read"});
  ASSERT_TRUE(world.keys->revoke(ids.at(revoked), {}));
  get("/v1/groups", "");
  get("/v1/groups", revoked);
  get("/v1/groups", "nonsense");
  get("/v1/cut", key({"server:admin"}));
  sql("DROP VIEW customers", key({"server:read"}));
  const std::string text = get("/metrics", admin).body;
  EXPECT_THAT(text, HasSubstr("tidemill_requests_denied_total{reason=\"no_key\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("tidemill_requests_denied_total{reason=\"revoked\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("tidemill_requests_denied_total{reason=\"malformed\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("tidemill_requests_denied_total{reason=\"forbidden\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("tidemill_keys{state=\"active\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("tidemill_keys{state=\"revoked\"} 1\n"));
  for (const auto& [secret, id] : ids) {
    EXPECT_EQ(text.find(to_text(id)), std::string::npos);
    EXPECT_EQ(text.find(secret), std::string::npos);
  }
}

}  // namespace
}  // namespace tidemill
