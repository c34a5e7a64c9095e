#include "tests/api/api_world.h"

namespace tidemill {
namespace {

struct PastApiWorld : ApiWorld {
  explicit PastApiWorld(const ApiOptions& options = {}) : ApiWorld(options, null_logger(), true) {
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
  EXPECT_EQ(sql.code(), "not_supported") << sql.body;
  EXPECT_NE(sql.body.find("/rows/{key}?at="), std::string::npos) << sql.body;
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
