// Clients that watch a view over HTTP: what is refused, and what they are sent.
#include "api/views/watcher.h"
#include "tests/api/api_world.h"

namespace tidemill {
namespace {

constexpr std::string_view kChanges = "/v1/views/customers/changes";

std::string line(std::string_view customer, int quantity) {
  return "{\"InvoiceNo\":\"A\",\"CustomerID\":\"" + std::string(customer) +
         "\",\"Quantity\":" + std::to_string(quantity) + ",\"UnitPrice\":1,\"Country\":\"UK\",\"StockCode\":\"a\"}";
}

struct WatchWorld : ApiWorld {
  WatchWorld() : ApiWorld({}, null_logger(), true) {}
  void add(std::string_view customer, int quantity) {
    const auto in = ask(post(line(customer, quantity), kJsonHeader, "?ack=view&wait=20000"));
    EXPECT_EQ(in.json()["ack"], "view") << in.body;
  }
  std::string detail(std::string_view query, std::string_view code = "invalid_parameter") {
    const auto answer = get(std::string(kChanges) + std::string(query));
    EXPECT_EQ(answer.status, 400) << query;
    EXPECT_EQ(answer.code(), code) << answer.body;
    return answer.json().value("detail", "");
  }
};

// One that watches. Its text is what came up to and with the next `current`.
struct Watching {
  Watching(WatchWorld& world, std::string_view query, std::string_view headers = {}) : client(world.server->port()) {
    client.send(ApiWorld::request("GET", std::string(kChanges) + std::string(query), {}, headers));
    const auto head = client.answer();
    EXPECT_EQ(head.status, 200) << query << head.body;
  }
  std::string until_current() {
    std::string text = client.until("event: current\n");
    const std::size_t at = text.rfind("id: ");
    if (at != std::string::npos) cursor = text.substr(at + 4, text.find('\n', at) - at - 4);
    return text;
  }
  RawClient client;
  std::string cursor;
};

bool has(const std::string& text, std::string_view what) {
  return text.find(what) != std::string::npos;
}

TEST(Watching, ACursorKeepsAllDigits) {
  const Token token{{}, {}, {}, Position::through(Sequence(7))};
  for (const std::uint64_t n :
       {std::uint64_t{0}, std::uint64_t{15}, std::uint64_t{16}, std::uint64_t{0xabc}, ~std::uint64_t{0}}) {
    const auto read = decode_cursor(encode_cursor({n, n / 2, {}}, token.encode(), n / 3));
    ASSERT_TRUE(read) << n;
    EXPECT_EQ(read->cursor.view, n);
    EXPECT_EQ(read->cursor.settled, n / 2);
    EXPECT_EQ(read->fingerprint, n / 3);
    EXPECT_EQ(read->token.encode(), token.encode());
  }
  EXPECT_FALSE(decode_cursor("1.2"));
  EXPECT_FALSE(decode_cursor("1.2." + token.encode() + ".3.4"));
  EXPECT_FALSE(decode_cursor("1.x." + token.encode()));
}

TEST(Watching, AWrongConditionIsRefusedAndTheAnswerSaysWhere) {
  WatchWorld world;
  EXPECT_EQ(world.detail("?where="), "`where` is empty: write a condition over the view's columns.");
  EXPECT_TRUE(has(world.detail("?where=units+%3E"), "`where`, line 1, column 7: SQL: "))
      << world.detail("?where=units+%3E");
  EXPECT_TRUE(has(world.detail("?where=unit%3E1"), "line 1, column 1: The view has no column unit. It has: "));
  EXPECT_TRUE(has(world.detail("?where=count(*)%3E1"), "An aggregate is of many rows"));
  EXPECT_TRUE(has(world.detail("?where=1&where=2"), "where"));
  EXPECT_EQ(world.get(std::string(kChanges) + "?where=1", "Accept: text/csv\r\n").code(), "not_acceptable");
  EXPECT_EQ(world.get("/v1/views/nosuch/changes?where=1").code(), "view_not_found");
  EXPECT_EQ(world.get("/v1/views/customers/rows?where=1").code(), "invalid_parameter");
  RawClient client(world.server->port());
  client.send(ApiWorld::request("HEAD", std::string(kChanges) + "?where=units%3E1") +
              ApiWorld::request("GET", "/healthz"));
  EXPECT_EQ(client.answer(true).status, 200);
  EXPECT_EQ(client.answer().body, "ok\n");
}

TEST(Watching, RowsThatFitAndTheirCursor) {
  WatchWorld world;
  world.add("1", 5);
  world.add("2", 1);
  Watching watching(world, "?where=units%3E3");
  const std::string first = watching.until_current();
  EXPECT_TRUE(has(first, "event: snapshot"));
  EXPECT_TRUE(has(first, R"({"key":["1"],"row":{)"));
  EXPECT_FALSE(has(first, R"({"key":["2"])"));
  world.add("2", 3);
  EXPECT_TRUE(has(watching.until_current(), R"({"key":["2"],"row":{)"));
  world.add("1", -4);
  EXPECT_TRUE(has(watching.until_current(), "event: delete\ndata: {\"key\":[\"1\"]}\n"));
  // It goes on behind the cursor, with the same condition only.
  const std::string& cursor = watching.cursor;
  world.add("1", 9);
  EXPECT_TRUE(has(Watching(world, "?where=units%3E3&cursor=" + cursor).until_current(), R"({"key":["1"],"row":{)"));
  EXPECT_TRUE(
      has(Watching(world, "?where=units%3E3", "Last-Event-ID: " + cursor + "\r\n").until_current(), R"({"key":["1"])"));
  for (const std::string other :
       {"?where=units%3E4&cursor=", "?cursor=", "?key=1&cursor=", "?key=1&where=units%3E3&cursor="})
    EXPECT_TRUE(has(world.detail(other + cursor, "invalid_cursor"), "other rows")) << other;
  Watching whole(world, "");
  (void)whole.until_current();
  EXPECT_TRUE(has(world.detail("?where=1&cursor=" + whole.cursor, "invalid_cursor"), "other rows"));
  EXPECT_TRUE(has(world.detail("?prefix=1&cursor=" + whole.cursor, "invalid_cursor"), "other rows"));
  EXPECT_EQ(world.get(std::string(kChanges) + "?cursor=" + whole.cursor + ".x").code(), "invalid_cursor");
}

TEST(Watching, AConditionTogetherWithARange) {
  WatchWorld world;
  for (const char* customer : {"10", "11", "20"}) world.add(customer, 5);
  Watching watching(world, "?prefix=1&where=customer_id+%3C%3E+11");
  const std::string first = watching.until_current();
  EXPECT_TRUE(has(first, R"({"key":["10"],"row")"));
  EXPECT_FALSE(has(first, R"({"key":["11"])"));
  EXPECT_FALSE(has(first, R"({"key":["20"])"));
}

TEST(Watching, AConditionThatNeedsTooMuchEndsTheAnswer) {
  WatchWorld world;
  world.add("1", 5);
  Watching watching(world, "?where=length(printf('%2540000d',units)||printf('%2540000d',units))");
  const std::string end = watching.client.until("\"}\n");
  EXPECT_TRUE(has(end, "event: error\n")) << end;
  EXPECT_TRUE(has(end, "invalid_parameter")) << end;
  EXPECT_TRUE(has(end, "64 KiB")) << end;
}

}  // namespace
}  // namespace tidemill
