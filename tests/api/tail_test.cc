#include "tests/api/api_world.h"
#include "tests/api/chunk.h"

namespace tidemill {
namespace {

constexpr std::string_view kLive = "Accept: text/event-stream\r\n";
constexpr std::string_view kRecords = "/v1/streams/retail/records";

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
  const std::string text = event(tail);
  EXPECT_TRUE(text.starts_with("event: error\ndata: {")) << text;
  EXPECT_TRUE(text.ends_with("}\n\n")) << text;
  EXPECT_NE(text.find("\"code\":\"stream_not_found\""), std::string::npos) << text;
  EXPECT_EQ(event(tail), "");  // the last chunk
}

TEST(Tail, TakesNoLimitAndNoIdOfSomebodyElse) {
  ApiWorld world;
  EXPECT_EQ(world.get(std::string(kRecords) + "?limit=5", kLive).code(), "invalid_parameter");
  EXPECT_EQ(world.get(kRecords, std::string(kLive) + "Last-Event-ID: x\r\n").code(), "invalid_parameter");
  EXPECT_EQ(world.get(kRecords, std::string(kLive) + "Last-Event-ID: 9\r\n").code(), "invalid_parameter");
}

TEST(Tail, FollowsAndResumes) {
  ApiWorld world;
  const std::string three = "{\"InvoiceNo\":\"1\"}\n{\"InvoiceNo\":\"2\"}\n{\"InvoiceNo\":\"3\"}\n";
  ASSERT_EQ(world.ask(ApiWorld::post(three, kNdjsonHeader)).status, 200);
  RawClient tail(world.server->port());
  tail.send(ApiWorld::request("GET", "/v1/streams/retail/records?from=2", {}, "Accept: text/event-stream\r\n"));
  const auto head = tail.answer();
  EXPECT_EQ(head.headers.at("content-type"), "text/event-stream");
  std::string text = event(tail);
  EXPECT_NE(text.find("id: 3\ndata: {\"sequence\":2,"), std::string::npos) << text;
  EXPECT_NE(text.find("id: 4\ndata: {\"sequence\":3,"), std::string::npos) << text;
  world.ask(ApiWorld::post(kGood));
  text = event(tail);
  EXPECT_NE(text.find("id: 5\ndata: {\"sequence\":4,"), std::string::npos) << text;
  RawClient again(world.server->port());
  again.send(
      ApiWorld::request("GET", "/v1/streams/retail/records", {}, "Accept: text/event-stream\r\nLast-Event-ID: 4\r\n"));
  EXPECT_EQ(again.answer().status, 200);
  EXPECT_NE(event(again).find("{\"sequence\":4,"), std::string::npos);
}

// The first number of a series; -1: there is none.
double metric(ApiWorld& world, const std::string& series) {
  const std::string text = world.get("/metrics").body;
  const std::size_t at = text.find("\n" + series + " ");
  return at == std::string::npos ? -1 : std::stod(text.substr(at + series.size() + 2));
}

TEST(Tail, AClientThatIsFarBehindIsDisconnectedAndHoldsNoMemory) {
  ApiWorld world;
  RawClient tail(world.server->port(), 4'096);
  tail.send(ApiWorld::request("GET", "/v1/streams/retail/records", {}, "Accept: text/event-stream\r\n"));
  ASSERT_EQ(tail.answer().status, 200);
  // It reads no more. What the kernel keeps for it on both sides, some 4 MiB, comes on top of the server's 4 MiB.
  const std::string body = "{\"InvoiceNo\":\"1\",\"x\":\"" + std::string(1'000'000, 'x') + "\"}";
  int sent = 0;
  for (; sent < 24 && metric(world, "tidemill_tails_disconnected_total") == 0; ++sent) {
    ASSERT_EQ(world.ask(ApiWorld::post(body)).status, 200);
  }
  const auto becomes = [&](const std::string& series, double value) {
    for (int i = 0; i < 2'000; ++i) {
      if (metric(world, series) == value) return true;
    }
    return false;
  };
  EXPECT_TRUE(becomes("tidemill_tails_disconnected_total", 1)) << "after " << sent << " MB";
  EXPECT_GT(sent, 4);
  // Its memory goes at once, not when it has taken what it is behind with.
  EXPECT_TRUE(becomes("tidemill_http_connections", 1)) << "the one that asks";
  EXPECT_TRUE(becomes("tidemill_tails", 0));
  std::size_t got = 0;
  std::string last;
  while (tail.more()) {
    got += tail.unread().size();
    last = (last + tail.unread()).substr(std::max<std::size_t>(last.size() + tail.unread().size(), 10) - 10);
    tail.unread().clear();
  }
  EXPECT_LT(got, 16u << 20);
  EXPECT_FALSE(last.ends_with("0\r\n\r\n")) << "the client can tell that it was cut off";
}

// The sequences that a tail has told of, as far as they have come; whole events only.
std::uint64_t follow(RawClient& tail, std::uint64_t seen, std::uint64_t last) {
  while (seen < last) {
    const std::string text = event(tail);
    if (text.empty()) break;
    for (std::size_t at = 0; (at = text.find("data: {\"sequence\":", at)) != std::string::npos; at += 18) {
      const std::uint64_t sequence = std::stoull(text.substr(at + 18));
      EXPECT_EQ(sequence, ++seen);
    }
  }
  return seen;
}

class CountingExecutor final : public Executor {
 public:
  void post(Task task) override {
    ++posts;
    under.post(std::move(task));
  }
  void post_after(std::chrono::nanoseconds delay, Task task) override { under.post_after(delay, std::move(task)); }
  ThreadExecutor under{"historical", 1};
  std::atomic<int> posts{0};
};

TEST(Tail, WhatIsNotInMemoryIsReadWhereOldPagesAre) {
  CountingExecutor historical;
  {
    ApiOptions options;
    options.historical = &historical;
    LogOptions log;
    log.tail_cache_bytes = 256 << 10;
    ApiWorld world(options, null_logger(), false, log);
    const std::string record = "{\"InvoiceNo\":\"1\",\"x\":\"" + std::string(10'000, 'x') + "\"}\n";
    for (int i = 0; i < 20; ++i) {
      std::string body;
      for (int j = 0; j < 30; ++j) body += record;
      ASSERT_EQ(world.ask(ApiWorld::post(body, kNdjsonHeader)).status, 200);
    }
    // All of them are of one key, hence of one shard.
    const auto page = world.get("/v1/streams/retail/records?from=1&limit=1").json();
    const std::string shard = std::to_string(page["records"][0]["shard"].get<int>());
    std::uint64_t last = 600;
    for (const std::string& what : {std::string(), "&shard=" + shard}) {
      const int before = historical.posts;
      RawClient tail(world.server->port());
      tail.send(
          ApiWorld::request("GET", "/v1/streams/retail/records?from=1" + what, {}, "Accept: text/event-stream\r\n"));
      ASSERT_EQ(tail.answer().status, 200);
      EXPECT_EQ(follow(tail, 0, last), last);
      EXPECT_GE(historical.posts, before + 5);  // at most 1 MiB at a time
      ASSERT_EQ(world.ask(ApiWorld::post(kGood)).status, 200);
      EXPECT_EQ(follow(tail, last, last + 1), last + 1);  // and then live
      ++last;
    }
  }
  historical.under.stop();
}

TEST(Tail, WhoReadsOldRecordsSlowlyIsWaitedFor) {
  ApiWorld world;
  const std::string body = "{\"InvoiceNo\":\"1\",\"x\":\"" + std::string(1'000'000, 'x') + "\"}";
  for (int i = 0; i < 24; ++i) ASSERT_EQ(world.ask(ApiWorld::post(body)).status, 200);
  RawClient tail(world.server->port(), 4'096);
  tail.send(ApiWorld::request("GET", "/v1/streams/retail/records?from=1", {}, "Accept: text/event-stream\r\n"));
  ASSERT_EQ(tail.answer().status, 200);
  // Time enough to send it more than the kernel and the server hold for it.
  for (int i = 0; i < 300; ++i) ASSERT_EQ(metric(world, "tidemill_tails_disconnected_total"), 0);
  EXPECT_EQ(follow(tail, 0, 24), 24u);
}

TEST(Tail, OfOneShardLooksAtNothingOfOthers) {
  ApiWorld world;
  RawClient tail(world.server->port());
  tail.send(ApiWorld::request("GET", "/v1/streams/retail/records?shard=1", {}, "Accept: text/event-stream\r\n"));
  ASSERT_EQ(tail.answer().status, 200);
  const auto& lanes_read = world.stream->log().metrics().lanes_read;
  std::uint64_t others = 0;
  std::vector<std::string> own;
  for (int i = 0; others < 50 || own.size() < 3; ++i) {
    const std::string key = std::to_string(i);
    if (world.stream->shard_of(hash_key(key), Sequence(1)) == ShardId(1)) {
      own.push_back(key);
      continue;
    }
    ++others;
    ASSERT_EQ(world.ask(ApiWorld::post("{\"InvoiceNo\":\"" + key + "\"}")).status, 200);
  }
  EXPECT_EQ(lanes_read.value(), 0u);
  std::uint64_t sequence = others;
  for (std::size_t i = 0; i < 3; ++i) {
    ASSERT_EQ(world.ask(ApiWorld::post("{\"InvoiceNo\":\"" + own[i] + "\"}")).status, 200);
    EXPECT_NE(event(tail).find("\"sequence\":" + std::to_string(++sequence) + ",\"shard\":1,"), std::string::npos);
    EXPECT_EQ(lanes_read.value(), i + 1);
  }
}

}  // namespace
}  // namespace tidemill
