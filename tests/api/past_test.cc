#include "tests/api/api_world.h"

namespace tidemill {
namespace {

struct PastApiWorld : ApiWorld {
  explicit PastApiWorld(const ApiOptions& options = {}, std::chrono::milliseconds history_every = {})
      : ApiWorld(options, null_logger(), true, {}, {}, history_every) {
    define("sums", "SELECT k, m, sum(q) AS q FROM retail GROUP BY k, m");
    for (int i = 1; i <= 5; ++i) add(R"({"InvoiceNo":"i","k":"a,b","m":1,"q":)" + std::to_string(i) + "}");
  }
  void define(const std::string& name, const std::string& sql) {
    const auto made = ask(request("PUT", "/v1/views/" + name, "{\"sql\":\"" + sql + "\"}"));
    EXPECT_LT(made.status, 300) << made.body;
  }
  std::string add(const std::string& record) {
    const auto in = ask(post(record, kJsonHeader, "?ack=view&wait=20000"));
    EXPECT_EQ(in.json()["ack"], "view") << in.body;
    return in.json()["token"];
  }
};
constexpr const char* kRow = "/v1/views/sums/rows/a%2Cb,1";

TEST(PastApi, ARowAsItWas) {
  PastApiWorld world;
  const auto now = world.get(kRow);
  for (int s = 1; s <= 5; ++s) {
    const auto then = world.get(std::string(kRow) + "?at=" + std::to_string(s));
    ASSERT_EQ(then.status, 200) << then.body;
    EXPECT_EQ(then.json()["row"], (nlohmann::json{{"k", "a,b"}, {"m", 1}, {"q", s * (s + 1) / 2}}));
    EXPECT_EQ(then.json()["as_of"]["sequence"], s);
    EXPECT_TRUE(then.json()["as_of"]["token"].is_string());
    // By the time that it names, and by the key in its other spelling.
    const std::string time = then.json()["as_of"]["time"];
    const auto by_time = world.get("/v1/views/sums/rows?key=%5B%22a,b%22,1.0%5D&at=" + time);
    ASSERT_EQ(by_time.status, 200) << by_time.body;
    EXPECT_GE(by_time.json()["as_of"]["sequence"], s) << "several may have come within the millisecond";
    EXPECT_EQ(by_time.json()["row"]["m"], 1);
    EXPECT_EQ(by_time.json()["as_of"]["time"], time);
    if (s == 5) {
      EXPECT_EQ(then.body, now.body);
    }
  }
  // The one row of a view without GROUP BY.
  world.define("whole", "SELECT count(*) AS n, sum(q) AS q FROM retail");
  world.add(R"({"InvoiceNo":"i","q":10})");
  EXPECT_EQ(world.get("/v1/views/whole/rows?key=%5B%5D").json()["row"], (nlohmann::json{{"n", 6}, {"q", 25}}));
  EXPECT_EQ(world.get("/v1/views/whole/rows?key=%5B%5D&at=4").json()["row"], (nlohmann::json{{"n", 4}, {"q", 10}}));
  EXPECT_EQ(world.get("/v1/views/sums/rows?key=%5B%5D&at=4").code(), "invalid_key");
  EXPECT_EQ(world.get("/v1/views/whole/rows?from=%5B%5D").code(), "invalid_key");
  const auto none = world.get(std::string(kRow) + "?at=0");
  EXPECT_EQ(none.code(), "no_such_row") << none.body;
  EXPECT_EQ(none.json()["as_of"]["sequence"], 0);
  EXPECT_TRUE(none.json()["as_of"]["time"].is_null());
  EXPECT_EQ(world.get("/v1/views/sums/rows/nosuch,1?at=3").code(), "no_such_row");
}

TEST(PastApi, WhatHasNotComeYet) {
  PastApiWorld world;
  const auto ahead = world.get(std::string(kRow) + "?at=6");
  EXPECT_EQ(ahead.status, 409);
  EXPECT_EQ(ahead.code(), "at_ahead") << ahead.body;
  EXPECT_EQ(ahead.json()["as_of"]["sequence"], 5);
  EXPECT_EQ(world.get(std::string(kRow) + "?at=2999-01-01T00:00:00Z").code(), "at_ahead");
  // `after` waits, and then it is there.
  const std::string token = world.add(R"({"InvoiceNo":"i","k":"a,b","m":1,"q":6})");
  const auto after = world.get(std::string(kRow) + "?at=6&wait=20000&after=" + token);
  EXPECT_EQ(after.status, 200) << after.body;
  EXPECT_EQ(after.json()["row"]["q"], 21);
}

TEST(PastApi, WhatIsWrongIsSaid) {
  PastApiWorld world;
  world.define("plain",
               "CREATE MATERIALIZED VIEW plain WITH (lineage = false) AS SELECT k, sum(m) AS q FROM retail GROUP BY k");
  world.define("goes",
               "CREATE MATERIALIZED VIEW goes WITH (ttl = '1 day') AS SELECT k, sum(m) AS q FROM retail GROUP BY k");
  world.define("late", "CREATE MATERIALIZED VIEW late WITH (from = 4) AS SELECT k, sum(m) AS q FROM retail GROUP BY k");
  world.add(R"({"InvoiceNo":"i","k":"x"})");
  for (const char* bad : {"", "x", "-1", "1.5", "now", "2011-12-09", "99999999999999999999999"})
    EXPECT_EQ(world.get(std::string(kRow) + "?at=" + bad).code(), "invalid_parameter") << bad;
  EXPECT_EQ(world.get("/v1/views/plain/rows/x?at=3").code(), "no_lineage");
  const auto goes = world.get("/v1/views/goes/rows/x?at=3");
  EXPECT_EQ(goes.code(), "not_supported");
  EXPECT_NE(goes.body.find("go with time"), std::string::npos) << goes.body;
  const auto late = world.get("/v1/views/late/rows/a%2Cb?at=2");
  EXPECT_EQ(late.status, 410);
  EXPECT_EQ(late.code(), "history_gone") << late.body;
  EXPECT_EQ(late.json()["first"], 4);
  EXPECT_EQ(world.get("/v1/views/nosuch/rows/x?at=3").code(), "view_not_found");
  EXPECT_EQ(world.get("/v1/views/sums/rows/x?at=3").code(), "invalid_key");
  // For one row only: never silently as it is now.
  EXPECT_EQ(world.get("/v1/views/sums/rows?at=3").code(), "not_supported");
  EXPECT_EQ(world.get("/v1/views/sums/rows/a%2Cb,1/why?at=3").code(), "invalid_parameter");
  const auto sql = world.ask(PastApiWorld::request("POST", "/v1/sql?at=3", R"({"sql":"SELECT * FROM sums"})"));
  EXPECT_EQ(sql.code(), "not_supported") << "no points are kept: " << sql.body;
  EXPECT_NE(sql.body.find("history.every"), std::string::npos) << sql.body;
  EXPECT_TRUE(world.get("/v1/history").json()["every_seconds"].is_null());
}

TEST(PastApi, SqlAtAKeptPoint) {
  PastApiWorld world({}, std::chrono::milliseconds(10));
  const auto ask = [&](const std::string& body, const std::string& query = "", const std::string& accept = "*/*") {
    return world.ask(PastApiWorld::request("POST", "/v1/sql" + query, body, "Accept: " + accept + "\r\n"));
  };
  const std::string sum = R"({"sql":"SELECT sum(q) AS q FROM sums")";
  // Until there is one of record 5.
  nlohmann::json point;
  for (int i = 0; i < 2'000 && point.is_null(); ++i) {
    const auto history = world.get("/v1/history").json();
    for (const auto& p : history["points"]) {
      for (const auto& v : p["views"])
        if (v["view"] == "sums" && v["sequence"] == 5) point = p;
    }
    if (point.is_null()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ASSERT_FALSE(point.is_null()) << world.get("/v1/history").body;
  world.add(R"({"InvoiceNo":"i","k":"a,b","m":1,"q":1000})");
  EXPECT_EQ(ask(sum + "}").json()["rows"][0][0], 1015);
  EXPECT_FALSE(ask(sum + "}").json().contains("point"));
  const auto then = ask(sum + R"(,"at":5})");
  ASSERT_EQ(then.status, 200) << then.body;
  EXPECT_EQ(then.json()["rows"][0][0], 15);
  EXPECT_EQ(then.json()["as_of"]["sequence"], 5);
  EXPECT_TRUE(then.json()["as_of"]["token"].is_string());
  EXPECT_EQ(then.json()["point"]["number"], point["number"]);
  EXPECT_EQ(then.json()["point"]["made"], point["made"]);
  const std::string made = point["made"];
  EXPECT_EQ(ask(sum + ",\"at\":\"" + made + "\"}").json()["rows"][0][0], 15);
  EXPECT_EQ(ask(sum + "}", "?at=" + made).json()["rows"][0][0], 15);
  for (const char* accept : {"text/csv", "application/x-ndjson"}) {
    const auto text = ask(sum + R"(,"at":"5"})", "", accept);
    ASSERT_EQ(text.status, 200) << text.body;
    EXPECT_EQ(nlohmann::json::parse(text.headers.at("tidemill-point")), then.json()["point"]);
    EXPECT_EQ(nlohmann::json::parse(text.headers.at("tidemill-as-of")), then.json()["as_of"]);
    EXPECT_NE(text.body.find("15"), std::string::npos) << text.body;
  }
  // What is wrong is said.
  EXPECT_EQ(ask(sum + R"(,"at":7})").status, 409);
  EXPECT_EQ(ask(sum + R"(,"at":7})").code(), "at_ahead");
  EXPECT_EQ(ask(sum + R"(,"at":"2999-01-01T00:00:00Z"})").code(), "at_ahead");
  const auto early = ask(sum + R"(,"at":"2011-12-09T12:50:00Z"})");
  EXPECT_EQ(early.status, 410);
  EXPECT_EQ(early.code(), "history_gone") << early.body;
  EXPECT_NE(early.body.find("The oldest with it is number"), std::string::npos) << early.body;
  for (const char* bad : {"\"\"", "\"x\"", "-1", "1.5", "\"2011-12-09\"", "null", "[5]"})
    EXPECT_EQ(ask(sum + ",\"at\":" + bad + "}").code(), "invalid_body") << bad;
  for (const char* bad : {"", "x", "-1", "1.5"})
    EXPECT_EQ(ask(sum + "}", std::string("?at=") + bad).code(), "invalid_parameter") << bad;
  EXPECT_EQ(ask(sum + R"(,"at":5})", "?at=5").code(), "invalid_parameter");
  EXPECT_EQ(ask(R"({"sql":"SELECT 1","at":5})").code(), "invalid_parameter");
  EXPECT_EQ(ask(R"({"sql":"DROP MATERIALIZED VIEW sums","at":5})").code(), "invalid_parameter");
  EXPECT_EQ(ask(R"({"sql":"SELECT * FROM nosuch","at":5})").code(), "invalid_sql");
  EXPECT_EQ(ask(R"({"sql":"SELECT ? + 1 FROM sums","at":5})").code(), "invalid_parameter");
  EXPECT_EQ(ask(R"({"sql":"SELECT ? + 1 FROM sums","params":[2],"at":5})").json()["rows"][0][0], 3);
  EXPECT_EQ(ask(R"({"sql":"EXPLAIN SELECT q FROM sums","at":5})").status, 200);
  const auto metrics = world.get("/metrics").body;
  EXPECT_NE(metrics.find("tidemill_history_points "), std::string::npos);
  EXPECT_EQ(metrics.find("tidemill_history_points 0"), std::string::npos);
}

TEST(PastApi, TheTimeForAQuestionIsLimited) {
  ApiOptions options;
  options.limits.sql.time_max = std::chrono::milliseconds(0);
  PastApiWorld world(options);
  const auto slow = world.get(std::string(kRow) + "?at=3");
  EXPECT_EQ(slow.status, 503);
  EXPECT_EQ(slow.code(), "query_timeout") << slow.body;
  EXPECT_EQ(world.get(std::string(kRow) + "?at=5").status, 200);
}

}  // namespace
}  // namespace tidemill
