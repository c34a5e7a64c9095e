#include "tests/api/api_world.h"
#include "tests/api/chunk.h"

namespace tidemill {
namespace {

constexpr std::string_view kRecords = "/v1/streams/retail/records";

void fill(ApiWorld& world, int count) {
  std::string body;
  for (int i = 1; i <= count; ++i)
    body += "{\"InvoiceNo\":\"" + std::to_string(i) + "\",\"n\":" + std::to_string(i) + "}\n";
  ASSERT_EQ(world.ask(ApiWorld::post(body, kNdjsonHeader)).status, 200);
}

TEST(Reading, PagesGoThroughTheStreamInOrder) {
  ApiWorld world;
  fill(world, 250);
  std::uint64_t from = 0;
  std::uint64_t seen = 0;
  for (int page = 0; page < 5; ++page) {
    const auto answer = world.get("/v1/streams/retail/records?from=" + std::to_string(from)).json();
    for (const auto& record : answer["records"]) EXPECT_EQ(record["sequence"], ++seen);
    from = answer["next"];
  }
  EXPECT_EQ(seen, 250u);
  EXPECT_EQ(from, 251u);
  EXPECT_EQ(world.get("/v1/streams/retail/records?from=latest").json()["next"], 251);
  EXPECT_EQ(world.get("/v1/streams/retail/records?from=2000-01-01T00:00:00Z&limit=1").json()["records"][0]["sequence"],
            1);
  EXPECT_EQ(world.get("/v1/streams/retail/records?from=2100-01-01T00:00:00Z").json()["next"], 251);
  std::size_t in_shards = 0;
  for (int shard = 0; shard < 4; ++shard) {
    const auto page = world.get("/v1/streams/retail/records?limit=10000&shard=" + std::to_string(shard)).json();
    for (const auto& record : page["records"]) EXPECT_EQ(record["shard"], shard);
    in_shards += page["records"].size();
    EXPECT_EQ(page["next"], 251);
  }
  EXPECT_EQ(in_shards, 250u);
  for (const char* query : {"from=yesterday", "from=900", "limit=0", "limit=10001", "shard=4", "after=x"}) {
    EXPECT_EQ(world.get(std::string("/v1/streams/retail/records?") + query).status, 400) << query;
  }
  EXPECT_EQ(world.get("/v1/streams/nosuch/records").code(), "stream_not_found");
}

TEST(Reading, APageSaysWhatItIsTrueOf) {
  ApiWorld world;
  const std::string token = world.ask(ApiWorld::post(kGood)).json()["token"];
  world.ask(ApiWorld::post(kGood));
  const auto page = world.get(std::string(kRecords) + "?limit=1&wait=0&after=" + token).json();
  EXPECT_EQ(page["records"].size(), 1u);
  EXPECT_EQ(page["as_of"]["sequence"], 2);
  EXPECT_TRUE(page["as_of"]["time"].is_string());
  EXPECT_TRUE(Token::decode(page["as_of"]["token"].get<std::string>()));
  const auto in = [&](const std::string& query) { return world.get(std::string(kRecords) + "?" + query); };
  ASSERT_EQ(world.ask(ApiWorld::request("PUT", "/v1/streams/other", "{}", kJsonHeader)).status, 201);
  const std::string strange =
      world.ask(ApiWorld::request("POST", "/v1/streams/other/records", "[]", kJsonHeader)).json()["token"];
  EXPECT_EQ(in("after=" + strange).code(), "invalid_token");
  ASSERT_EQ(world.ask(ApiWorld::request("DELETE", "/v1/streams/other")).status, 204);
  EXPECT_EQ(in("after=" + strange).code(), "token_gone");
  EXPECT_EQ(in("shard=s0003").status, 200);
  EXPECT_EQ(in("shard=s0004").code(), "invalid_parameter");
}

// A commit is stamped after its records have arrived, and look-ups by time find commits.
TEST(Reading, FromATimeGivesNothingOlder) {
  ApiWorld world;
  for (int i = 0; i < 20; ++i) ASSERT_EQ(world.ask(ApiWorld::post(kGood)).status, 200);
  const auto all = world.get(kRecords).json()["records"];
  for (const auto& record : all) {
    const std::string time = record["time"];
    const auto page = world.get(std::string(kRecords) + "?limit=1&from=" + time).json()["records"];
    ASSERT_EQ(page.size(), 1u);
    EXPECT_EQ(page[0]["time"], time);
    EXPECT_LE(page[0]["sequence"], record["sequence"]);
  }
}

TEST(Shards, AreSplitAndMergedAndReadToTheirEnd) {
  ApiWorld world;
  fill(world, 40);
  const auto post = [&](const std::string& path, std::string_view body) {
    return world.ask(ApiWorld::request("POST", "/v1/streams/" + path, body, kJsonHeader));
  };
  RawClient tail(world.server->port());
  tail.send(ApiWorld::request("GET", "/v1/streams/retail/records?shard=1", {}, "Accept: text/event-stream\r\n"));
  ASSERT_EQ(tail.answer().status, 200);
  const auto split = post("retail/shards/s0001/split", "");
  ASSERT_EQ(split.status, 200) << split.body;
  EXPECT_EQ(split.json()["at"], 40);
  EXPECT_EQ(split.json()["closed"][0]["last_sequence"], 40);
  EXPECT_EQ(split.json()["closed"][0]["open"], false);
  ASSERT_EQ(split.json()["opened"].size(), 2u);
  EXPECT_EQ(split.json()["opened"][1]["first_hash"], "60000000000000000000000000000000");
  EXPECT_EQ(split.json()["opened"][1]["first_sequence"], 41);
  EXPECT_EQ(split.json()["opened"][1]["last_sequence"], nullptr);
  EXPECT_NE(event(tail).find("event: closed\ndata: {\"shard\":1,\"children\":[4,5]}"), std::string::npos);
  EXPECT_EQ(event(tail), "");

  fill(world, 40);
  const auto merge = post("retail/shards/0/merge", R"({"with":"s0004"})");
  ASSERT_EQ(merge.status, 200) << merge.body;
  EXPECT_EQ(merge.json()["opened"][0]["shard"], 6);
  EXPECT_EQ(merge.json()["opened"][0]["parents"], nlohmann::json({0, 4}));
  fill(world, 40);

  const auto got = world.get("/v1/streams/retail").json();
  ASSERT_EQ(got["shards"].size(), 7u);
  EXPECT_EQ(world.get("/v1/streams").json()["streams"][0]["shards"], 4);
  EXPECT_EQ(world.ask(ApiWorld::request("PUT", "/v1/streams/retail", R"({"shards":4})", kJsonHeader)).status, 200);
  // Every record is read from exactly one shard, the one that it says.
  std::size_t in_shards = 0;
  for (const auto& shard : got["shards"]) {
    const auto page =
        world.get("/v1/streams/retail/records?limit=10000&shard=" + std::to_string(shard["shard"].get<int>())).json();
    for (const auto& record : page["records"]) {
      EXPECT_EQ(record["shard"], shard["shard"]);
      EXPECT_GE(record["sequence"], shard["first_sequence"]);
    }
    in_shards += page["records"].size();
    if (shard["open"] == true) {
      EXPECT_EQ(page["next"], 121);
    } else {
      EXPECT_EQ(page["next"], nullptr);
      EXPECT_EQ(page["children"].size(), shard["shard"] == 1 ? 2u : 1u);
    }
  }
  EXPECT_EQ(in_shards, 120u);

  EXPECT_EQ(post("retail/shards/1/split", "").code(), "shard_closed");
  EXPECT_EQ(post("retail/shards/9/split", "").code(), "shard_not_found");
  EXPECT_EQ(post("retail/shards/x/split", "").code(), "shard_not_found");
  EXPECT_EQ(post("nosuch/shards/1/split", "").code(), "stream_not_found");
  EXPECT_EQ(post("retail/shards/2/split", R"({"at":"7"})").code(), "invalid_body");
  EXPECT_EQ(post("retail/shards/2/split", R"({"at":"00000000000000000000000000000001"})").code(), "invalid_split");
  EXPECT_EQ(post("retail/shards/2/merge", "").code(), "invalid_body");
  EXPECT_EQ(post("retail/shards/6/merge", R"({"with":3})").code(), "shards_not_adjacent");
}

TEST(Streams, AreMadeChangedAndRemoved) {
  ApiWorld world;
  const auto put = [&](std::string_view body) {
    return world.ask(ApiWorld::request("PUT", "/v1/streams/orders", body, kJsonHeader));
  };
  EXPECT_EQ(put(R"({"shards":2,"partition_key":"id","fields":{"n":"integer"},"archive":{"enabled":false}})").status,
            201);
  const auto got = world.get("/v1/streams/orders").json();
  EXPECT_EQ(got["shards"].size(), 2u);
  EXPECT_EQ(got["fields"]["n"], "integer");
  EXPECT_EQ(got["archive"]["enabled"], false);
  EXPECT_EQ(put(R"({"partition_key":"key"})").status, 200);
  EXPECT_EQ(put(R"({"shards":3})").code(), "stream_exists");
  EXPECT_EQ(put(R"({"sharts":3})").code(), "invalid_body");
  EXPECT_EQ(put("[").code(), "invalid_body");
  EXPECT_EQ(world.ask(ApiWorld::request("PUT", "/v1/streams/_mine", "{}", kJsonHeader)).code(), "invalid_stream_name");
  EXPECT_EQ(world.get("/v1/streams").json()["streams"].size(), 2u);
  EXPECT_EQ(world.ask(ApiWorld::request("DELETE", "/v1/streams/orders")).status, 204);
  EXPECT_EQ(world.ask(ApiWorld::request("DELETE", "/v1/streams/orders")).status, 404);
  EXPECT_EQ(world.get("/v1/groups").json()["groups"].size(), 0u);
  EXPECT_EQ(world.get("/v1/groups/retail:none").code(), "group_not_found");
}

TEST(Pages, StateAndIndex) {
  ApiWorld world;
  EXPECT_EQ(world.get("/readyz").status, 200);
  EXPECT_EQ(world.get("/readyz/ingest").status, 200);
  const auto index = world.get("/");
  EXPECT_EQ(index.headers.at("x-content-type-options"), "nosniff");
  EXPECT_NE(index.headers.at("content-security-policy").find("default-src 'none'"), std::string::npos);
  EXPECT_NE(index.body.find("/v1/streams/retail"), std::string::npos);
  EXPECT_EQ(world.get("/v1/views").json()["views"].size(), 0u);
  EXPECT_EQ(world.get("/customers/1").code(), "view_not_found");
}

}  // namespace
}  // namespace tidemill
