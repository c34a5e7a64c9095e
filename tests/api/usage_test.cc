// The stream `_usage` at the door: read by whoever has the scope, and changed by nobody, whatever the route and the
// scopes. The routes are taken from the page that lists all, so a new one is held to it, too.
#include <gmock/gmock.h>

#include <fstream>
#include <regex>

#include "tests/api/api_world.h"
#include "tests/api/issued_key.h"
#include "tests/support/source_tree.h"

namespace tidemill {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

UsageDelta delta(const std::string& tenant) {
  return {tenant, KeyId{1}, *parse_rfc3339("2026-01-02T03:00:00Z"), {3, 40, 500, 6}};
}

std::string key_with(ApiWorld& w, const std::string& tenant, const std::vector<std::string>& scopes) {
  return "X-Api-Key: " + text_of(issue(*w.keys, scopes, tenant)) + "\r\n";
}

// Method and path of every route that may change a stream, from the page that is held against the table.
std::vector<std::pair<std::string, std::string>> changing_routes() {
  std::ifstream page(source_tree() + "/docs/http-api.md");
  const std::regex row(R"(\| (\w+) \| `(/\S+)` \|.*`stream:\{stream\}:(write|admin)`.*)");
  std::vector<std::pair<std::string, std::string>> found;
  std::smatch m;
  for (std::string line; std::getline(page, line);)
    if (std::regex_match(line, m, row)) found.emplace_back(m[1], m[2]);
  return found;
}

std::string replaced(std::string text, std::string_view what, std::string_view with) {
  if (const auto at = text.find(what); at != std::string::npos) text.replace(at, what.size(), with);
  return text;
}

TEST(Usage, NoRouteChangesItsStream) {
  ApiWorld w({}, null_logger(), true);
  ASSERT_TRUE(w.usage->append({delta("default")}));
  const auto before = w.engine->find(in_default("_usage"));
  std::size_t tried = 0;
  for (const auto& [method, pattern] : changing_routes()) {
    ++tried;
    std::string path = replaced(pattern, "{stream}", "_usage");
    path = replaced(path, "{shard}", "0");
    const std::string body = path.ends_with("/merge")     ? R"({"with":1})"
                             : path.ends_with("/records") ? R"({"a":1})"
                                                          : "{}";
    const auto answer = w.ask(ApiWorld::request(method, path, method == "DELETE" ? "" : body, kJsonHeader));
    SCOPED_TRACE(method + " " + path + " " + answer.body);
    if (method == "PUT") {
      EXPECT_EQ(answer.code(), "invalid_stream_name");
    } else {
      EXPECT_EQ(answer.status, 409);
      EXPECT_EQ(answer.code(), "reserved_stream");
    }
  }
  EXPECT_GE(tried, 5u);
  for (const char* sql :
       {"DROP STREAM _usage", "DROP STREAM \"_usage\"", "CREATE STREAM _mine AS SELECT a FROM retail",
        "CREATE STREAM IF NOT EXISTS _usage AS SELECT a FROM retail", "DROP STREAM IF EXISTS _usage"}) {
    const auto answer = w.ask(ApiWorld::request("POST", "/v1/sql", nlohmann::json({{"sql", sql}}).dump(), kJsonHeader));
    EXPECT_EQ(answer.status, 400) << sql << answer.body;
  }
  EXPECT_EQ(w.engine->find(in_default("_usage")), before) << "not even its settings";
  EXPECT_EQ(before->log().durable(), Sequence(1));
  EXPECT_EQ(w.engine->list().size(), 2u);
}

TEST(Usage, IsReadWithTheScopesOfAnyStream) {
  ApiWorld w;
  ASSERT_TRUE(w.usage->append({delta("default"), delta("acme")}));
  const std::string may = key_with(w, "default", {"stream:_usage:read"});
  const std::string may_not = key_with(w, "default", {"stream:retail:admin"});
  const std::string writes = key_with(w, "default", {"stream:*:admin", "server:admin", "instance:admin"});
  const std::string theirs = key_with(w, "other", {"stream:*:admin", "server:admin"});
  constexpr auto kPath = "/v1/streams/_usage/records?from=earliest";
  const auto read = w.get(kPath, may);
  ASSERT_EQ(read.status, 200) << read.body;
  ASSERT_EQ(read.json()["records"].size(), 1u) << "not the other tenant's";
  EXPECT_EQ(
      read.json()["records"][0]["data"],
      nlohmann::json::parse(
          R"({"key":"0000000000001","hour":"2026-01-02T03:00:00Z","requests":3,"records":40,"bytes":500,"refused":6})"));
  EXPECT_EQ(w.get(kPath, may_not).status, 403);
  EXPECT_EQ(w.get(kPath, theirs).code(), "stream_not_found");
  EXPECT_EQ(w.get("/v1/streams/_usage", theirs).code(), "stream_not_found");
  EXPECT_THAT(w.get("/v1/streams", may).body, HasSubstr("\"_usage\""));
  EXPECT_THAT(w.get("/v1/streams", may_not).body, Not(HasSubstr("_usage")));
  EXPECT_THAT(w.get("/v1/streams", theirs).body, Not(HasSubstr("_usage")));
  EXPECT_EQ(w.ask(ApiWorld::request("POST", "/v1/streams/_usage/records", R"({"key":"x"})",
                                    writes + std::string(kJsonHeader)))
                .code(),
            "reserved_stream");
  EXPECT_EQ(w.ask(ApiWorld::request("DELETE", "/v1/streams/_usage", {}, writes)).code(), "reserved_stream");
}

TEST(Usage, IsInTheMetricsByTenant) {
  ApiWorld w;
  ASSERT_TRUE(w.usage->append({delta("default"), delta("acme")}));
  ASSERT_TRUE(w.usage->append({delta("acme")}));
  const std::string text = w.get("/metrics").body;
  EXPECT_THAT(text, HasSubstr("tidemill_usage_requests_total{tenant=\"acme\"} 6\n"));
  EXPECT_THAT(text, HasSubstr("tidemill_usage_records_total{tenant=\"acme\"} 80\n"));
  EXPECT_THAT(text, HasSubstr("tidemill_usage_bytes_total{tenant=\"default\"} 500\n"));
  EXPECT_THAT(text, HasSubstr("tidemill_usage_refused_requests_total{tenant=\"default\"} 6\n"));
  EXPECT_THAT(text, Not(HasSubstr("\"0000000000001\""))) << "no keys";
}

}  // namespace
}  // namespace tidemill
