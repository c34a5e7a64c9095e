#include "tests/api/api_world.h"

namespace tidemill {
namespace {

struct WhyWorld : ApiWorld {
  WhyWorld() : ApiWorld({}, null_logger(), true) {
    define("sums", "SELECT k, m, sum(q) AS q FROM retail WHERE q <> 0 GROUP BY k, m");
    std::string records;
    for (int i = 1; i <= 30; ++i)
      records += "{\"InvoiceNo\":\"i" + std::to_string(i) + R"(","k":"a,b","m":)" + std::to_string(i % 2) +
                 ",\"q\":" + (i == 9 ? "\"nine\"" : std::to_string(i % 7)) + "}\n";
    const auto in = ask(post(records, kNdjsonHeader, "?ack=view&wait=20000"));
    EXPECT_EQ(in.json()["ack"], "view") << in.body;
  }
  void define(const std::string& name, const std::string& sql) {
    const auto made = ask(request("PUT", "/v1/views/" + name, "{\"sql\":\"" + sql + "\"}"));
    EXPECT_LT(made.status, 300) << made.body;
  }
  static std::vector<int> sequences(const ClientAnswer& answer) {
    std::vector<int> out;
    const auto json = answer.json();
    for (const auto& r : json["records"]) out.push_back(r["sequence"]);
    return out;
  }
};

TEST(WhyApi, ListsTheRecordsThatMadeARow) {
  WhyWorld world;
  const std::string base = "/v1/views/sums/why?key=%5B%22a,b%22,1%5D";
  const auto all = world.get(base);
  ASSERT_EQ(all.status, 200) << all.body;
  EXPECT_EQ(WhyWorld::sequences(all), (std::vector<int>{1, 3, 5, 11, 13, 15, 17, 19, 23, 25, 27, 29}));
  EXPECT_EQ(all.json()["view"], "sums");
  EXPECT_EQ(all.json()["row"]["m"], 1);
  EXPECT_EQ(all.json()["first"], 1);
  EXPECT_EQ(all.json()["last"], 29);
  EXPECT_EQ(all.json()["count"], 12);
  EXPECT_EQ(all.json()["lineage_from"], 1);
  EXPECT_TRUE(all.json()["next"].is_null());
  EXPECT_EQ(all.json()["as_of"]["sequence"], 30);
  EXPECT_EQ(all.json()["records"][3]["data"]["q"], 4);
  EXPECT_EQ(all.json()["records"][3]["key"], "i11");
  EXPECT_EQ(WhyWorld::sequences(world.get("/v1/views/sums/rows/a%2Cb,1/why?from=4&limit=2")),
            (std::vector<int>{5, 11}));
  EXPECT_EQ(world.get(base + "&from=4&limit=2").json()["next"], 13);
  EXPECT_EQ(WhyWorld::sequences(world.get(base + "&order=desc&limit=3")), (std::vector<int>{29, 27, 25}));
  EXPECT_EQ(WhyWorld::sequences(world.get(base + "&order=desc&from=4")), (std::vector<int>{3, 1}));
  EXPECT_EQ(WhyWorld::sequences(world.get(base + "&from=30")), std::vector<int>{});
  EXPECT_EQ(world.get("/v1/views/sums").json()["lineage_from"], 1);
}

TEST(WhyApi, AnEditedRecordIsNotWhatTheLogHas) {
  WhyWorld world;
  const auto done = world.ask(WhyWorld::request("POST", "/v1/views/sums/quarantine/9",
                                                R"({"decision":"redrive","data":{"k":"a,b","m":1,"q":9}})"));
  ASSERT_EQ(done.status, 200) << done.body;
  const auto why = world.get("/v1/views/sums/rows/a%2Cb,1/why?from=6&limit=2");
  ASSERT_EQ(WhyWorld::sequences(why), (std::vector<int>{9, 11}));
  const auto edited = why.json()["records"][0];
  EXPECT_TRUE(edited["data"].is_null());
  EXPECT_EQ(edited["edited"]["q"], 9);
  EXPECT_EQ(edited["key"], "i9");
  EXPECT_NE(edited["reason"].get<std::string>().find("edited"), std::string::npos);
  EXPECT_FALSE(why.json()["records"][1].contains("reason"));
}

TEST(WhyApi, WhatIsWrongIsSaid) {
  WhyWorld world;
  world.define("plain",
               "CREATE MATERIALIZED VIEW plain WITH (lineage = false) AS SELECT k, sum(m) AS q FROM retail GROUP BY k");
  const auto token = world.ask(ApiWorld::post(R"({"InvoiceNo":"1","k":"x"})", kJsonHeader, "?ack=view&wait=20000"));
  ASSERT_EQ(token.json()["ack"], "view");
  EXPECT_EQ(world.get("/v1/views/plain/rows/x/why").code(), "no_lineage");
  EXPECT_TRUE(world.get("/v1/views/plain").json()["lineage_from"].is_null());
  EXPECT_EQ(world.get("/v1/views/plain/rows/y/why").code(), "no_such_row");
  EXPECT_EQ(world.get("/v1/views/sums/rows/y,1/why").code(), "no_such_row");
  EXPECT_EQ(world.get("/v1/views/sums/rows/y/why").code(), "invalid_key");
  EXPECT_EQ(world.get("/v1/views/nosuch/rows/y/why").code(), "view_not_found");
  EXPECT_EQ(world.get("/v1/views/sums/why").code(), "invalid_parameter");
  for (const char* bad : {"limit=0", "limit=1001", "limit=x", "from=-1", "from=x", "order=up"})
    EXPECT_EQ(world.get(std::string("/v1/views/sums/rows/y,1/why?") + bad).code(), "invalid_parameter") << bad;
  // Saying it is another definition: it is built anew, with its lineage.
  const auto changed = world.ask(WhyWorld::request(
      "PUT", "/v1/views/plain",
      R"({"sql":"CREATE MATERIALIZED VIEW plain WITH (lineage = true) AS SELECT k, sum(m) AS q FROM retail GROUP BY k"})"));
  EXPECT_EQ(changed.status, 202) << changed.body;
  const auto wrong = world.ask(WhyWorld::request(
      "PUT", "/v1/views/other",
      R"({"sql":"CREATE MATERIALIZED VIEW other WITH (lineage = yes) AS SELECT count(*) AS n FROM retail"})"));
  EXPECT_EQ(wrong.code(), "invalid_view");
  EXPECT_NE(wrong.body.find("lineage is true or false"), std::string::npos) << wrong.body;
}

}  // namespace
}  // namespace tidemill
