// Tenants at the door: whoever asks for another's stream, view or group, by whatever route, gets what is said of one
// that nobody has, byte for byte. The routes are taken from the table, so a new one is held to it, too.
#include <gmock/gmock.h>

#include <regex>

#include "api/routes.h"
#include "tests/api/api_world.h"

namespace tidemill {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kTenantHeader = "X-Test-Tenant";  // of this test's own front; the product has none

std::vector<std::string_view> segments_of(std::string_view path) {
  std::vector<std::string_view> out;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::size_t slash = std::min(path.find('/'), path.size());
    out.push_back(path.substr(0, slash));
    path.remove_prefix(slash);
  }
  return out;
}

// Everything behind the router, asked on behalf of whomever a header names.
class TwoTenants : public http::Handler {
 public:
  TwoTenants() {
    engine = std::move(*Engine::open(real.env, {.data = real.directory.path(), .log = {}}));
    views = std::move(*views::AllViews::open(real.env, *engine, {.directory = engine->directory().views()}));
    derived = derived::DerivedStreams::open(real.env, *engine, views.get());
    context = std::make_unique<ApiContext>(real.env, *engine, views.get(), workers);
    context->derived = derived.get();
    records = std::make_unique<Records>(*context);
    context->wake_tails = [this] { records->wake(); };
    streams = std::make_unique<Streams>(*context, *records);
    view_routes = std::make_unique<ViewRoutes>(*context);
    key_routes = std::make_unique<KeyRoutes>(*context, nullptr);
    audit_routes = std::make_unique<AuditRoutes>(*context, nullptr);
    limit_routes = std::make_unique<LimitRoutes>(*context, nullptr);
    routes = make_routes({*context, ingest, *records, *streams, *view_routes, *key_routes, *audit_routes, *limit_routes,
                          [] { return std::string(); }});
    http::ServerOptions options;
    options.host = "127.0.0.1";
    http = std::move(*http::Server::listen(options, *this));
    ingest = std::make_unique<Ingest>(*context, *http);
    http->start();
  }
  ~TwoTenants() override {
    context->draining = true;
    records->wake();
    view_routes->watches().wake();
    http->stop(std::chrono::milliseconds(1'000));
    EXPECT_TRUE(engine->close());
    EXPECT_TRUE(views->close());
    http.reset();
    workers.stop();
  }

  void handle(const http::Request& request, http::Responder responder) override {
    const auto asked = segments_of(request.path);
    for (const Route& route : routes) {
      const auto pattern = segments_of(route.path);
      if (route.method != request.method || pattern.size() != asked.size()) continue;
      auto who = std::make_shared<Principal>();
      who->tenant = request.header(kTenantHeader);
      Call call{route, request, *http::Query::parse(request.query), {}, {}, std::move(who)};
      bool fits = true;
      std::size_t param = 0;
      for (std::size_t i = 0; i < pattern.size(); ++i) {
        if (!pattern[i].starts_with('{')) {
          fits = fits && pattern[i] == asked[i];
          continue;
        }
        call.raw_params[param] = asked[i];
        call.params[param++] = *http::percent_decode(asked[i]);
      }
      if (fits) return route.handle(call, std::move(responder));
    }
    http::Response none;
    none.status = 500;
    responder.send(std::move(none));
  }
  void answered(std::uint16_t, int, std::chrono::nanoseconds) override {}

  ClientAnswer ask(std::string_view tenant, std::string_view method, const std::string& path,
                   const std::string& body = {}, std::string_view type = "application/json") {
    std::string headers = std::string(kTenantHeader) + ": " + std::string(tenant) + "\r\n";
    if (!body.empty()) headers += "Content-Type: " + std::string(type) + "\r\n";
    RawClient client(http->port());
    client.send(ApiWorld::request(method, path, body, headers));
    return client.answer();
  }
  ClientAnswer sql(std::string_view tenant, const std::string& statement) {
    return ask(tenant, "POST", "/v1/sql", nlohmann::json{{"sql", statement}}.dump());
  }
  // A stream with a record and a view over it, which shows it. The record's token.
  std::string make(std::string_view tenant, const std::string& stream, const std::string& view) {
    EXPECT_EQ(ask(tenant, "PUT", "/v1/streams/" + stream, R"({"partition_key":"k"})").status, 201);
    const auto made = ask(tenant, "PUT", "/v1/views/" + view,
                          R"({"sql":"SELECT k, count(*) AS n FROM )" + stream + R"( GROUP BY k"})");
    EXPECT_EQ(made.status, 201) << made.body;
    const auto in = ask(tenant, "POST", "/v1/streams/" + stream + "/records?ack=view&wait=20000", R"({"k":"x"})");
    EXPECT_EQ(in.json()["ack"], "view") << in.body;
    return in.json().value("token", "");
  }

  RealEnv real{null_logger()};
  ThreadExecutor workers{"worker", 2};
  std::unique_ptr<Engine> engine;
  std::unique_ptr<views::AllViews> views;
  std::unique_ptr<derived::DerivedStreams> derived;
  std::unique_ptr<ApiContext> context;
  std::unique_ptr<Ingest> ingest;
  std::unique_ptr<Records> records;
  std::unique_ptr<Streams> streams;
  std::unique_ptr<ViewRoutes> view_routes;
  std::unique_ptr<KeyRoutes> key_routes;
  std::unique_ptr<AuditRoutes> audit_routes;
  std::unique_ptr<LimitRoutes> limit_routes;
  std::vector<Route> routes;
  std::unique_ptr<http::Server> http;
};

// What the client sees, but for the time, with the name that it sent taken out.
std::string seen(const ClientAnswer& answer, const std::string& name) {
  std::string out = std::to_string(answer.status) + "\n";
  for (const auto& [header, value] : answer.headers)
    if (header != "date") out += header + ": " + value + "\n";
  out += answer.body;
  if (!name.empty())
    for (std::size_t at = 0; (at = out.find(name, at)) != std::string::npos; at += 4)
      out.replace(at, name.size(), "NAME");
  static const std::regex time(R"(\d{4}-\d\d-\d\dT[0-9:.]+Z)");
  return std::regex_replace(out, time, "TIME");
}

// The path with this name where it has one; no name in it: empty.
std::string path_of(const Route& route, const std::string& stream, const std::string& view) {
  std::string out;
  bool named = false;
  for (const std::string_view part : segments_of(route.path)) {
    out.push_back('/');
    named = named || part == "{stream}" || part == "{view}" || part == "{group}";
    if (part == "{stream}") {
      out += stream;
    } else if (part == "{view}") {
      out += view;
    } else if (part == "{group}") {
      out += stream + ":views";
    } else if (part.starts_with('{')) {
      out += part == "{key}" ? "x" : "0";
    } else {
      out += part;
    }
  }
  return named ? out : std::string();
}

std::string body_of(const Route& route, const std::string& stream) {
  if (route.takes.empty()) return {};
  if (route.label == "ingest") return R"({"k":"x"})";
  if (route.label == "shard_merge") return R"({"with":1})";
  if (route.label == "view_put") return R"({"sql":"SELECT k, sum(n) AS n FROM )" + stream + R"( GROUP BY k"})";
  if (route.label.starts_with("view_decide")) return R"({"decision":"skip"})";
  return "{}";
}

bool is_not_found(const ClientAnswer& answer) {
  return answer.status == 404 && answer.code() != "no_such_row" && answer.code() != "shard_not_found" &&
         answer.code() != "not_in_quarantine";
}

TEST(TenantsApi, WhatIsAnothersIsAnsweredLikeWhatNobodyHas) {
  TwoTenants world;
  world.make("bravo", "own", "ownv");
  int tried = 0;
  for (const Route& route : world.routes) {
    if (path_of(route, "x", "x").empty()) continue;
    // Fresh ones for each, for some routes make or remove them.
    const std::string n = std::to_string(100 + tried++);
    world.make("alpha", "s" + n, "v" + n);
    std::string query;
    if (route.label == "view_why") query = "?key=x";
    const auto ask = [&](std::string_view tenant, const std::string& stream, const std::string& view) {
      return world.ask(tenant, route.method, path_of(route, stream, view) + query, body_of(route, stream));
    };
    const auto foreign = ask("bravo", "s" + n, "v" + n);
    const auto unknown = ask("bravo", "t" + n, "w" + n);
    const auto bare = [&](const ClientAnswer& answer, const char* stream, const char* view) {
      ClientAnswer named = answer;
      named.body = std::regex_replace(named.body, std::regex(view + n), "VIEW");
      return seen(named, stream + n);
    };
    EXPECT_EQ(bare(foreign, "s", "v"), bare(unknown, "t", "w")) << route.method << " " << route.path;
    if (route.label != "stream_put") {
      EXPECT_EQ(foreign.status, 404) << route.path << foreign.body;
    }
    // And it is there for whose it is, or the comparison says nothing.
    const auto owned = ask("alpha", "s" + n, "v" + n);
    EXPECT_FALSE(is_not_found(owned)) << route.method << " " << route.path << " " << owned.body;
    EXPECT_NE(owned.status, 500) << route.path;
  }
  EXPECT_GE(tried, 20);
}

TEST(TenantsApi, AnotherTenantsTokenIsOneThatNobodyGave) {
  TwoTenants world;
  world.make("bravo", "own", "ownv");
  const std::string foreign = world.make("alpha", "theirs", "theirsv");
  Token none = *Token::decode(foreign);
  none.stream = StreamId(999);
  int tried = 0;
  for (const Route& route : world.routes) {
    if (route.query.find("after") == std::string_view::npos) continue;
    ++tried;
    const std::string path = path_of(route, "own", "ownv");
    const bool sql = route.label == "sql";
    const auto ask = [&](const std::string& token) {
      return world.ask("bravo", route.method, (path.empty() ? std::string(route.path) : path) + "?key=x&after=" + token,
                       sql ? R"({"sql":"SELECT * FROM ownv"})" : body_of(route, "own"));
    };
    const auto answer = ask(foreign);
    EXPECT_EQ(seen(answer, ""), seen(ask(none.encode()), "")) << route.path;
    EXPECT_TRUE(answer.status == 410 || answer.status == 404) << route.path << " " << answer.body;
    EXPECT_THAT(answer.body, Not(HasSubstr("theirs"))) << route.path;
  }
  EXPECT_GE(tried, 8);
}

TEST(TenantsApi, ListsAndPagesNameNothingOfAnothers) {
  TwoTenants world;
  world.make("alpha", "secrets", "secretv");
  world.make("bravo", "own", "ownv");
  int tried = 0;
  for (const Route& route : world.routes) {
    if (route.method != "GET" || route.path.find('{') != std::string_view::npos) continue;
    // Of the instance as a whole; the audit trail is shown by tenant where there are keys (audit_test.cc).
    if (route.label == "metrics" || route.label == "cut" || route.label.starts_with("audit")) continue;
    if (route.label == "openapi") continue;  // of the program, the same for everybody
    ++tried;
    EXPECT_THAT(world.ask("bravo", "GET", std::string(route.path)).body, Not(HasSubstr("secret"))) << route.path;
  }
  EXPECT_GE(tried, 7);
  for (const char* path : {"/v1/streams", "/v1/views", "/v1/groups", "/"}) {
    EXPECT_THAT(world.ask("alpha", "GET", path).body, HasSubstr("secrets")) << path;
    EXPECT_THAT(world.ask("bravo", "GET", path).body, HasSubstr("own")) << path;
  }
}

TEST(TenantsApi, StatementsSpeakOfTheTenantsOwn) {
  TwoTenants world;
  world.make("alpha", "secrets", "secretv");
  world.make("bravo", "own", "ownv");
  const std::vector<std::string> statements = {
      "SELECT * FROM VIEW",
      "EXPLAIN SELECT * FROM VIEW",
      "SELECT * FROM ownv JOIN VIEW USING (k)",
      "DROP VIEW VIEW",
      "ALTER VIEW VIEW AS SELECT k, sum(n) AS n FROM own GROUP BY k",
      "CREATE MATERIALIZED VIEW fresh AS SELECT k, sum(n) AS n FROM STREAM GROUP BY k",
      "CREATE MATERIALIZED VIEW fresh AS SELECT o.k, last(l.n) AS n FROM own AS o LEFT JOIN VIEW AS l ON l.k = o.k "
      "GROUP BY o.k",
      "EXPLAIN SELECT k, sum(n) AS n FROM STREAM GROUP BY k",
      "CREATE STREAM fresh AS SELECT * FROM STREAM",
      "CREATE STREAM fresh AS SELECT * FROM VIEW",
      "DROP STREAM STREAM",
  };
  const auto ask = [&](const std::string& statement, const std::string& stream, const std::string& view) {
    const std::string text = std::regex_replace(std::regex_replace(statement, std::regex("STREAM(?= GROUP|$)"), stream),
                                                std::regex("(FROM|JOIN|DROP VIEW|ALTER VIEW) VIEW"), "$1 " + view);
    auto answer = world.sql("bravo", text);
    EXPECT_GE(answer.status, 400) << text << answer.body;
    answer.body = std::regex_replace(answer.body, std::regex(view), "VIEW");
    return seen(answer, stream);
  };
  for (const std::string& statement : statements)
    EXPECT_EQ(ask(statement, "secrets", "secretv"), ask(statement, "missing", "missinv")) << statement;
  // The names are free for it.
  EXPECT_EQ(world.sql("bravo", "CREATE STREAM secrets AS SELECT * FROM own").status, 200);
  EXPECT_EQ(world.sql("bravo", "CREATE MATERIALIZED VIEW secretv AS SELECT count(*) AS n FROM secrets").status, 200);
  EXPECT_EQ(world.engine->find({"alpha", "secrets"})->definition().derived, std::nullopt);
  EXPECT_EQ(world.sql("bravo", "DROP VIEW secretv").status, 200);
  EXPECT_EQ(world.sql("bravo", "DROP STREAM secrets").status, 200);
  EXPECT_EQ(world.ask("alpha", "GET", "/v1/views/secretv/rows/x").json()["row"]["n"], 1);
}

TEST(TenantsApi, ShortFormsAreTheViewsOfTheTenant) {
  TwoTenants world;
  world.make("default", "retail", "customers");
  const auto none = world.ask("alpha", "GET", "/customers/x");
  EXPECT_EQ(none.code(), "view_not_found") << none.body;
  world.make("alpha", "retail", "customers");
  EXPECT_EQ(world.ask("alpha", "GET", "/customers/x").json()["row"]["n"], 1);
}

// Idempotency keys, too, are the stream's own.
TEST(TenantsApi, TheSameKeyInTwoTenantsIsTwoRequests) {
  TwoTenants world;
  for (const char* tenant : {"alpha", "bravo"}) {
    ASSERT_EQ(world.ask(tenant, "PUT", "/v1/streams/s", R"({"partition_key":"k"})").status, 201);
    const std::string headers =
        std::string(kTenantHeader) + ": " + tenant + "\r\nContent-Type: application/json\r\nIdempotency-Key: same\r\n";
    for (int i = 0; i < 2; ++i) {
      RawClient client(world.http->port());
      client.send(ApiWorld::request("POST", "/v1/streams/s/records", R"({"k":"1"})", headers));
      const auto answer = client.answer();
      EXPECT_EQ(answer.json().value("first_sequence", 1), 1) << answer.body;
      EXPECT_EQ(answer.json().value("replayed", false), i == 1) << tenant << answer.body;
    }
    EXPECT_EQ(world.engine->find({tenant, "s"})->log().durable(), Sequence(1));
  }
}

}  // namespace
}  // namespace tidemill
