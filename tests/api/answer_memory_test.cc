#include <algorithm>

#include "tests/api/api_world.h"

namespace tidemill {
namespace {

ApiOptions tight() {
  ApiOptions options;
  options.limits.http.answer_bytes = 300 << 10;
  return options;
}

// Some 600 KB of records.
void fill(ApiWorld& world) {
  std::string body;
  for (int i = 1; i <= 3'000; ++i) {
    body += "{\"InvoiceNo\":\"" + std::to_string(i) + "\",\"text\":\"" + std::string(100, 'x') + "\"}\n";
  }
  ASSERT_EQ(world.ask(ApiWorld::post(body, kNdjsonHeader)).status, 200);
}

TEST(AnswerMemory, APageThatDoesNotFitIsRefusedAndNothingIsKept) {
  ApiWorld world(tight());
  fill(world);
  const auto page = [&](int limit) { return world.get("/v1/streams/retail/records?limit=" + std::to_string(limit)); };
  for (int round = 0; round < 20; ++round) {
    const auto large = page(3'000);
    ASSERT_EQ(large.status, 429);
    EXPECT_EQ(large.code(), "throttled");
    EXPECT_TRUE(large.headers.contains("retry-after"));
    // Twenty of these are more than there is, if one were not given back.
    const auto small = page(500);
    ASSERT_EQ(small.status, 200);
    EXPECT_EQ(small.json()["records"].size(), 500u);
  }
}

TEST(AnswerMemory, AQueryPaysAsItGrows) {
  ApiWorld world(tight(), null_logger(), true);
  const auto rows = [&](int n) {
    return world.ask(
        ApiWorld::request("POST", "/v1/sql",
                          R"({"sql":"WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c WHERE x < )" +
                              std::to_string(n) + R"() SELECT x, printf('%0100d', x) AS t FROM c"})"));
  };
  const auto large = rows(10'000);
  EXPECT_EQ(large.status, 429);
  EXPECT_EQ(large.code(), "throttled");
  for (int round = 0; round < 5; ++round) {
    // In two pieces. What the answer before holds is given back when it is sent, which we may see a little earlier.
    auto small = rows(2'500);
    for (int again = 0; small.status == 429 && again < 1'000; ++again) small = rows(2'500);
    ASSERT_EQ(small.status, 200) << small.body;
    EXPECT_GT(small.body.size(), std::size_t{256 << 10});
    EXPECT_EQ(small.json()["rows"].size(), 2'500u);
  }
}

TEST(AnswerMemory, ATailThatThereIsNoMemoryForIsCutOff) {
  ApiOptions options;
  options.limits.http.answer_bytes = 100 << 10;
  ApiWorld world(options);
  fill(world);
  RawClient tail(world.server->port());
  tail.send(ApiWorld::request("GET", "/v1/streams/retail/records?from=1", {}, "Accept: text/event-stream\r\n"));
  EXPECT_EQ(tail.answer().status, 200);
  while (tail.more()) {
  }
  EXPECT_FALSE(tail.unread().ends_with("0\r\n\r\n")) << "as if it were whole";
}

}  // namespace
}  // namespace tidemill
