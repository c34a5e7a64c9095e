#include "tests/api/api_world.h"
#include "tests/api/chunk.h"

namespace tidemill {
namespace {

constexpr std::string_view kLive = "Accept: text/event-stream\r\n";
constexpr std::string_view kRecords = "/v1/streams/retail/records";

// What a tail sends next. Empty: its end.
std::string piece(RawClient& client) {
  return next_chunk(client).value_or("");
}

TEST(Tail, HeadIsTheHeadAndTheConnectionGoesOn) {
  ApiWorld world;
  RawClient client(world.server->port());
  client.send(ApiWorld::request("HEAD", kRecords, {}, kLive) + ApiWorld::request("GET", "/healthz"));
  const auto head = client.answer(true);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.headers.at("content-type"), "text/event-stream");
  EXPECT_EQ(client.answer().body, "ok\n");
}

TEST(Tail, EndsWithTheStreamAndSaysWhy) {
  ApiWorld world;
  ASSERT_EQ(world.ask(ApiWorld::request("PUT", "/v1/streams/brief", "{}", kJsonHeader)).status, 201);
  RawClient tail(world.server->port());
  tail.send(ApiWorld::request("GET", "/v1/streams/brief/records", {}, kLive));
  ASSERT_EQ(tail.answer().status, 200);
  ASSERT_EQ(world.ask(ApiWorld::request("DELETE", "/v1/streams/brief")).status, 204);
  const std::string text = piece(tail);
  EXPECT_TRUE(text.starts_with("event: error\ndata: {")) << text;
  EXPECT_TRUE(text.ends_with("}\n\n")) << text;
  EXPECT_NE(text.find("\"code\":\"stream_not_found\""), std::string::npos) << text;
  EXPECT_EQ(piece(tail), "");  // the last chunk
}

TEST(Tail, TakesNoLimitAndNoIdOfSomebodyElse) {
  ApiWorld world;
  EXPECT_EQ(world.get(std::string(kRecords) + "?limit=5", kLive).code(), "invalid_parameter");
  EXPECT_EQ(world.get(kRecords, std::string(kLive) + "Last-Event-ID: x\r\n").code(), "invalid_parameter");
  EXPECT_EQ(world.get(kRecords, std::string(kLive) + "Last-Event-ID: 9\r\n").code(), "invalid_parameter");
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

}  // namespace
}  // namespace tidemill
