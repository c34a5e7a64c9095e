// Answers of SQL that are sent as they are made.

#include <algorithm>

#include "tests/api/api_world.h"
#include "tests/api/chunk.h"

namespace tidemill {
namespace {

constexpr std::string_view kNdjsonAccept = "Accept: application/x-ndjson\r\n";

std::string counting(const std::string& most) {
  return "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c WHERE x < " + most + ") ";
}
const std::string kEndless = counting("9e99");

std::string question(const std::string& sql, std::string_view headers = kNdjsonAccept) {
  return ApiWorld::request("POST", "/v1/sql", "{\"sql\":\"" + sql + "\"}", headers);
}

double metric(ApiWorld& world, const std::string& name) {
  const std::string text = world.get("/metrics").body;
  const std::size_t at = text.find("\n" + name + " ");
  return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
}

// What came in chunks; `whole`: with the last one.
struct Chunks {
  std::string body;
  std::size_t count = 0;
  bool whole = false;
};
Chunks chunks(RawClient& client) {
  Chunks c;
  while (const auto chunk = next_chunk(client)) {
    c.body += *chunk;
    c.whole = chunk->empty();
    if (c.whole) break;
    ++c.count;
  }
  return c;
}

TEST(SqlStream, AnAnswerOfAnySizeComesWholeAndInChunks) {
  ApiOptions options;
  options.limits.sql.rows_max = 1'000;  // those are of JSON
  options.limits.sql.bytes_max = 64 << 10;
  options.limits.http.answer_bytes = 1 << 20;  // a tenth of the answer
  ApiWorld world(options, null_logger(), true);
  RawClient client(world.server->port());
  client.send(question(counting("100000") + "SELECT x, printf('%0100d', x) AS t FROM c"));
  const auto head = client.answer();
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.headers.at("transfer-encoding"), "chunked");
  EXPECT_TRUE(head.headers.contains("tidemill-as-of"));
  const Chunks all = chunks(client);
  EXPECT_TRUE(all.whole);
  EXPECT_GT(all.count, 50u);
  EXPECT_EQ(std::count(all.body.begin(), all.body.end(), '\n'), 100'000);
  EXPECT_TRUE(all.body.starts_with("{\"x\":1,"));
  EXPECT_TRUE(all.body.ends_with("100000\"}\n"));
  // The connection goes on, and a small answer is an ordinary one.
  client.send(question("SELECT 1 AS a", "Accept: text/csv\r\n"));
  const auto small = client.answer();
  EXPECT_EQ(small.body, "a\r\n1\r\n");
  EXPECT_FALSE(small.headers.contains("transfer-encoding"));
  EXPECT_EQ(metric(world, "tidemill_rocksdb_snapshots"), 0);
}

TEST(SqlStream, NothingIsMadeForAClientThatDoesNotTakeIt) {
  ApiWorld world({}, null_logger(), true);
  {
    RawClient slow(world.server->port(), 4'096);
    slow.send(question(kEndless + "SELECT x, printf('%01000d', x) AS t FROM c"));
    EXPECT_EQ(slow.answer().status, 200);
    // It stands still once the sockets' buffers are full; what is held is taken twice a second.
    double before = -1;
    double held = 0;
    for (int same = 0; same < 3;) {
      held = metric(world, "tidemill_http_buffer_bytes");
      const double sent = metric(world, "tidemill_http_sent_bytes_total");
      ASSERT_LT(held, 3 << 20);
      // The questions themselves are some kilobytes of it.
      same = sent - before < 100'000 ? same + 1 : 0;
      before = sent;
    }
    EXPECT_EQ(metric(world, "tidemill_rocksdb_snapshots"), 1);
  }
  // Gone: the statement is, too.
  while (metric(world, "tidemill_rocksdb_snapshots") != 0) {
  }
}

// False: the time was over before the first bytes, on a machine that has much else to do.
bool is_cut_on_the_way(std::chrono::milliseconds time) {
  ApiOptions options;
  options.limits.sql_stream_time = time;
  ApiWorld world(options, null_logger(), true);
  for (const char* accept : {"Accept: application/x-ndjson\r\n", "Accept: text/csv\r\n"}) {
    RawClient client(world.server->port());
    client.send(question(kEndless + "SELECT x FROM c", accept));
    const int status = client.answer().status;
    if (status == 503) return false;
    EXPECT_EQ(status, 200);
    const Chunks cut = chunks(client);
    EXPECT_FALSE(cut.whole);
    EXPECT_GT(cut.count, 0u);
  }
  // Where the end of the connection is the end of the answer, a reset says that this is not it.
  RawClient old(world.server->port());
  const std::string body = "{\"sql\":\"" + kEndless + "SELECT x FROM c\"}";
  old.send("POST /v1/sql HTTP/1.0\r\nHost: a\r\nAccept: text/csv\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body);
  for (bool began = false; old.more(); old.unread().clear()) {
    if (!began && !old.unread().starts_with("HTTP/1.1 200")) return false;
    began = true;
  }
  EXPECT_EQ(errno, ECONNRESET);
  EXPECT_EQ(metric(world, "tidemill_rocksdb_snapshots"), 0);
  return true;
}

TEST(SqlStream, AnErrorOnTheWayCutsTheConnection) {
  std::chrono::milliseconds time(300);
  while (!is_cut_on_the_way(time)) {
    time *= 4;
    ASSERT_LT(time, std::chrono::minutes(2));
  }
}

TEST(SqlStream, AnErrorBeforeTheFirstBytesIsAnAnswer) {
  ApiOptions options;
  options.limits.sql.time_max = std::chrono::milliseconds(50);
  ApiWorld world(options, null_logger(), true);
  const auto late = world.ask(question(kEndless + "SELECT max(x) FROM c"));
  EXPECT_EQ(late.status, 503);
  EXPECT_EQ(late.code(), "query_timeout");
  const auto wrong = world.ask(question("SELECT x, json(x) FROM (SELECT 1 AS x UNION ALL SELECT '{')"));
  EXPECT_EQ(wrong.code(), "invalid_sql");
  EXPECT_EQ(wrong.headers.at("content-type"), "application/problem+json");
}

TEST(SqlStream, TheTimeIsForEachStepOfTheWork) {
  ApiOptions options;
  options.limits.sql.time_max = std::chrono::milliseconds(100);
  ApiWorld world(options, null_logger(), true);
  RawClient client(world.server->port());
  client.send(question(counting("600000") + "SELECT x FROM c WHERE abs(x) + length(printf('%0300d', x)) > 0"));
  EXPECT_EQ(client.answer().status, 200);
  EXPECT_TRUE(chunks(client).whole);  // more than 100 ms all together
}

TEST(SqlStream, AStatementWhoseClientBreaksOffIsEnded) {
  ApiOptions options;
  options.limits.sql.time_max = std::chrono::hours(1);
  ApiWorld world(options, null_logger(), true);
  for (const std::string_view accept : {std::string_view("Accept: application/json\r\n"), kNdjsonAccept}) {
    {
      RawClient client(world.server->port());
      client.send(question(kEndless + "SELECT max(x) FROM c", accept));
      while (metric(world, "tidemill_rocksdb_snapshots") != 1) {
      }
      client.reset();
    }
    while (metric(world, "tidemill_rocksdb_snapshots") != 0) {
    }
  }
}

TEST(SqlStream, WhatIsUnderWayEndsWhenTheServerStops) {
  ApiWorld world({}, null_logger(), true);
  RawClient client(world.server->port(), 4'096);
  client.send(question(kEndless + "SELECT x FROM c"));
  EXPECT_EQ(client.answer().status, 200);
  world.server->stop();
  EXPECT_FALSE(chunks(client).whole);
}

}  // namespace
}  // namespace tidemill
