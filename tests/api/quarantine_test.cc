// Records that a view has set aside: shown, edited, tried again, skipped.
#include <gtest/gtest.h>

#include "tests/api/api_world.h"

namespace tidemill {
namespace {

TEST(ViewsApi, TheQuarantineShowsWhatWasSetAsideAndWhy) {
  ApiWorld world({}, null_logger(), true);
  ASSERT_EQ(world.ask(ApiWorld::request("PUT", "/v1/views/sums", R"({"sql":"SELECT sum(q) AS q FROM retail"})")).status,
            201);
  const std::string records = R"({"InvoiceNo":"1","q":1})"
                              "\n"
                              R"({"InvoiceNo":"k","q":"two \u00fc"})"
                              "\n"
                              R"({"InvoiceNo":"1","q":3})"
                              "\n"
                              R"({"InvoiceNo":"1","q":"four"})";
  const auto in = world.ask(ApiWorld::post(records, kNdjsonHeader, "?ack=view&wait=20000"));
  ASSERT_EQ(in.json()["ack"], "view") << in.body;
  const auto all = world.get("/v1/views/sums/quarantine");
  ASSERT_EQ(all.status, 200) << all.body;
  EXPECT_EQ(all.json()["view"], "sums");
  EXPECT_EQ(all.json()["count"], 2);
  ASSERT_EQ(all.json()["records"].size(), 2u);
  const auto bad = all.json()["records"][0];
  EXPECT_EQ(bad["sequence"], 2);
  EXPECT_EQ(bad["key"], "k");
  EXPECT_EQ(bad["data"]["q"], "two \u00fc");
  EXPECT_NE(bad["reason"].get<std::string>().find("sum(q)"), std::string::npos) << bad;
  EXPECT_TRUE(all.json()["next"].is_null());
  EXPECT_EQ(all.json()["as_of"]["sequence"], 4);
  const auto first = world.get("/v1/views/sums/quarantine?limit=1");
  EXPECT_EQ(first.json()["records"].size(), 1u);
  EXPECT_EQ(first.json()["next"], 4);
  EXPECT_EQ(world.get("/v1/views/sums/quarantine?from=4").json()["records"][0]["sequence"], 4);
  EXPECT_EQ(world.get("/v1/views/sums/quarantine?from=5").json()["records"].size(), 0u);
  EXPECT_EQ(world.get("/v1/views/sums/quarantine?limit=1001").code(), "invalid_parameter");
  EXPECT_EQ(world.get("/v1/views/sums/quarantine?from=x").code(), "invalid_parameter");
  EXPECT_EQ(world.get("/v1/views/nosuch/quarantine").code(), "view_not_found");
}

TEST(ViewsApi, RecordsInQuarantineAreEditedTriedAgainAndSkipped) {
  ApiWorld world({}, null_logger(), true);
  ASSERT_EQ(world
                .ask(ApiWorld::request(
                    "PUT", "/v1/views/sums",
                    R"({"sql":"SELECT InvoiceNo AS id, sum(q) AS q, last(data) AS text FROM retail GROUP BY 1"})"))
                .status,
            201);
  const std::string records = R"({"InvoiceNo":"1","q":1})"
                              "\n"
                              R"({"InvoiceNo":"1","q":"two"})"
                              "\n"
                              R"({"InvoiceNo":"2","q":"three"})"
                              "\n"
                              R"({"InvoiceNo":"2","q":"four"})";
  const auto in = world.ask(ApiWorld::post(records, kNdjsonHeader, "?ack=view&wait=20000"));
  ASSERT_EQ(in.json()["ack"], "view") << in.body;
  const auto say = [&](const std::string& path, const std::string& body) {
    return world.ask(ApiWorld::request("POST", "/v1/views/" + path, body));
  };
  // As it is spelled, without the white space.
  const std::string edit =
      R"({"decision": "redrive", "data": {"InvoiceNo": "1", "q": 2.50, "more":[ 1.0 ]}, "dry_run":)";
  const auto dry = say("sums/quarantine/2", edit + "true}");
  ASSERT_EQ(dry.status, 200) << dry.body;
  EXPECT_EQ(dry.json()["decision"], "edit");
  EXPECT_EQ(dry.json()["dry_run"], true);
  EXPECT_EQ(dry.json()["sequences"], nlohmann::json({2}));
  EXPECT_EQ(dry.json()["row_count"], 1);
  EXPECT_EQ(dry.json()["rows"][0]["before"]["q"], 1);
  EXPECT_EQ(dry.json()["rows"][0]["after"]["q"], 3.5);
  EXPECT_EQ(dry.json()["count"], 3);
  EXPECT_EQ(world.get("/v1/views/sums/rows/1").json()["row"]["q"], 1);
  const auto fresh =
      say("sums/quarantine/3", R"({"decision":"redrive","data":{"InvoiceNo":"9","q":9},"dry_run":true})");
  EXPECT_TRUE(fresh.json()["rows"][0]["before"].is_null()) << fresh.body;
  EXPECT_EQ(fresh.json()["rows"][0]["after"]["id"], "9");

  const auto done = say("sums/quarantine/2", edit + "false}");
  ASSERT_EQ(done.status, 200) << done.body;
  EXPECT_EQ(done.json()["applied"], true);
  EXPECT_EQ(done.json()["count"], 2);
  EXPECT_EQ(done.json()["as_of"]["sequence"], 4);
  EXPECT_FALSE(done.json().contains("rows"));
  const auto row = world.get("/v1/views/sums/rows/1").json()["row"];
  EXPECT_EQ(row["q"], 3.5);
  EXPECT_EQ(row["text"], R"({"InvoiceNo":"1","q":2.50,"more":[1.0]})");

  EXPECT_EQ(say("sums/quarantine/2", R"({"decision":"skip"})").code(), "not_in_quarantine");
  const auto again = say("sums/quarantine/3", R"({"decision":"redrive"})");
  EXPECT_EQ(again.status, 422);
  EXPECT_EQ(again.code(), "still_refused");
  EXPECT_NE(again.json()["detail"].get<std::string>().find("sum(q)"), std::string::npos);
  const auto many = say("sums/quarantine", R"({"decision":"redrive"})");
  EXPECT_EQ(many.status, 200) << many.body;
  EXPECT_EQ(many.json()["decided"], 0);
  EXPECT_EQ(many.json()["refused_count"], 2);
  EXPECT_EQ(many.json()["refused"][0]["sequence"], 3);
  const auto one = say("sums/quarantine", R"({"decision":"skip","limit":1})");
  EXPECT_EQ(one.json()["sequences"], nlohmann::json({3}));
  EXPECT_EQ(one.json()["next"], 4);
  EXPECT_EQ(say("sums/quarantine", R"({"decision":"skip","reason":"other"})").json()["decided"], 0);
  EXPECT_EQ(say("sums/quarantine", R"({"decision":"skip","from":4})").json()["count"], 0);
  EXPECT_EQ(world.get("/v1/views/sums/quarantine").json()["count"], 0);
  EXPECT_EQ(world.ask(ApiWorld::request("POST", "/v1/views/sums/verify", "")).json()["difference_count"], 0);
  EXPECT_EQ(world.get("/v1/views/sums").json()["decided"],
            (nlohmann::json{{"skipped", 2}, {"redriven", 0}, {"edited", 1}}));
  const std::string metrics = world.get("/metrics").body;
  for (const char* line : {"tidemill_view_decided_records_total{view=\"sums\",tenant=\"default\",decision=\"skip\"} 2",
                           "tidemill_view_decided_records_total{view=\"sums\",tenant=\"default\",decision=\"edit\"} 1",
                           "tidemill_view_parked_records{view=\"sums\",tenant=\"default\"} 0"})
    EXPECT_NE(metrics.find(line), std::string::npos) << line;

  // What is no record is none here either.
  for (const char* bad : {"", "[]", "{}", R"({"decision":"edit"})", R"({"decision":"skip","data":{}})",
                          R"({"decision":"redrive","data":"{}"})", R"({"decision":"redrive","data":{"a":1,"a":2}})",
                          R"({"decision":"skip","dry_run":1})", R"({"decision":"skip","limit":1})"})
    EXPECT_EQ(say("sums/quarantine/2", bad).code(), "invalid_body") << bad;
  for (const char* bad : {R"({"decision":"redrive","data":{}})", R"({"decision":"skip","limit":0})",
                          R"({"decision":"skip","limit":1001})", R"({"decision":"skip","reason":1})"})
    EXPECT_EQ(say("sums/quarantine", bad).code(), "invalid_body") << bad;
  EXPECT_EQ(say("sums/quarantine/x", R"({"decision":"skip"})").code(), "invalid_parameter");
  EXPECT_EQ(say("nosuch/quarantine/2", R"({"decision":"skip"})").code(), "view_not_found");
}

}  // namespace
}  // namespace tidemill
