#include "tests/api/api_world.h"
#include "tests/api/chunk.h"

namespace tidemill {
namespace {

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

// What a tail sends next: whole events, as their lines. Empty: its end.
std::string event(RawClient& client) {
  return next_chunk(client).value_or("");
}

TEST(Tail, FollowsAndResumes) {
  ApiWorld world;
  fill(world, 3);
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
