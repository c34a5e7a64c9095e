#include "tests/api/api_world.h"

namespace tidemill {
namespace {

TEST(Http, PipelinedRequestsMayBeCutAnywhere) {
  ApiWorld world;
  const std::string text = ApiWorld::post(R"({"InvoiceNo":"a"})") + ApiWorld::request("GET", "/healthz");
  const std::string chunked =
      "POST /v1/streams/retail/records HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
      "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\n{\"Inv\r\nc\r\noiceNo\":\"b\"}\r\n0\r\nTrailer: 1\r\n\r\n";
  const std::string all = text + chunked + ApiWorld::request("GET", "/nosuch") + ApiWorld::post("{") +
                          ApiWorld::request("HEAD", "/healthz");
  RawClient client(world.server->port());
  for (std::size_t cut = 1; cut < all.size(); ++cut) {
    SCOPED_TRACE(cut);
    ASSERT_TRUE(client.send(all.substr(0, cut)));
    ASSERT_TRUE(client.send(all.substr(cut)));
    ASSERT_EQ(client.answer().status, 200);
    ASSERT_EQ(client.answer().body, "ok\n");
    const auto second = client.answer();
    ASSERT_EQ(second.status, 200) << second.body;
    ASSERT_EQ(client.answer().status, 404);
    ASSERT_EQ(client.answer().status, 400);
    ASSERT_EQ(client.answer(true).status, 200);
    ASSERT_TRUE(client.unread().empty()) << client.unread();
  }
  EXPECT_EQ(world.stream->log().durable().value(), 2 * (all.size() - 1));
}

TEST(Http, AnswersKeepTheOrderOfTheirRequests) {
  ApiWorld world;
  RawClient client(world.server->port());
  std::string all;
  constexpr int kCount = 500;
  for (int i = 0; i < kCount; ++i) {
    all += i % 2 == 0 ? ApiWorld::post("{\"InvoiceNo\":\"" + std::to_string(i) + "\"}")
                      : ApiWorld::request("GET", i % 4 == 1 ? "/healthz" : "/v1/streams/retail");
  }
  client.send(all);
  std::uint64_t last = 0;
  for (int i = 0; i < kCount; ++i) {
    const auto answer = client.answer();
    ASSERT_EQ(answer.status, 200) << answer.body;
    if (i % 2 == 0) {
      const std::uint64_t sequence = answer.json()["first_sequence"];
      EXPECT_EQ(sequence, last + 1) << "requests of one connection are numbered in their order";
      last = sequence;
    } else if (i % 4 == 1) {
      EXPECT_EQ(answer.body, "ok\n");
    } else {
      EXPECT_EQ(answer.json()["name"], "retail");
    }
  }
}

TEST(Http, ExpectContinueIsAnswered) {
  ApiWorld world;
  RawClient client(world.server->port());
  client.send(
      "POST /v1/streams/retail/records HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
      "Expect: 100-continue\r\nContent-Length: " +
      std::to_string(kGood.size()) + "\r\n\r\n");
  EXPECT_EQ(client.answer().status, 100);
  client.send(kGood);
  EXPECT_EQ(client.answer().status, 200);
  // Too large a body is refused before it is sent.
  client.send(
      "POST /v1/streams/retail/records HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
      "Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n");
  EXPECT_EQ(client.answer().status, 413);
}

TEST(Http, HeadHasNoBodyAndMethodsAreNamed) {
  ApiWorld world;
  const auto head = world.ask(ApiWorld::request("HEAD", "/healthz"));
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.headers.at("content-length"), "3");
  const auto patch = world.ask(ApiWorld::request("PATCH", "/v1/streams/retail/records", "{}"));
  EXPECT_EQ(patch.status, 405);
  EXPECT_EQ(patch.headers.at("allow"), "GET, HEAD, OPTIONS, POST");
  const auto options = world.ask(ApiWorld::request("OPTIONS", "/v1/streams/retail"));
  EXPECT_EQ(options.status, 204);
  EXPECT_EQ(options.headers.at("allow"), "DELETE, GET, HEAD, OPTIONS, PUT");
  EXPECT_EQ(world.get("/v1/nosuch").code(), "not_found");
  EXPECT_EQ(world.get("/v1/streams/%zz").code(), "target_invalid");
}

TEST(Http, KeepAliveAndClose) {
  ApiWorld world;
  RawClient old(world.server->port());
  old.send("GET /healthz HTTP/1.0\r\n\r\n");
  EXPECT_EQ(old.answer().headers.at("connection"), "close");
  EXPECT_FALSE(old.more());
  RawClient client(world.server->port());
  client.send(ApiWorld::request("GET", "/healthz", {}, "Connection: close\r\n") + ApiWorld::request("GET", "/healthz"));
  EXPECT_EQ(client.answer().headers.at("connection"), "close");
  EXPECT_FALSE(client.more()) << "a request after the last one was answered";
  // A client that has said all it will still gets its answers.
  RawClient half(world.server->port());
  half.send(ApiWorld::post(kGood) + ApiWorld::post(kGood));
  half.end();
  EXPECT_EQ(half.answer().status, 200);
  EXPECT_EQ(half.answer().status, 200);
  EXPECT_FALSE(half.more());
}

TEST(Http, TheSlowAreCutOff) {
  ApiOptions options;
  options.limits.http.header_timeout = std::chrono::milliseconds(1);
  options.limits.http.body_grace = std::chrono::milliseconds(1);
  options.limits.http.idle_timeout = std::chrono::milliseconds(1);
  ApiWorld world(options);
  RawClient header(world.server->port());
  header.send("GET / HT");
  EXPECT_EQ(header.answer().status, 408);
  RawClient body(world.server->port());
  body.send("POST /v1/streams/retail/records HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{");
  EXPECT_EQ(body.answer().status, 408);
  RawClient idle(world.server->port());
  EXPECT_FALSE(idle.more());
}

TEST(Http, AHalfSentBodyIsNotTaken) {
  ApiWorld world;
  const std::string whole = ApiWorld::post(kGood);
  for (const std::size_t missing : {1ul, kGood.size() - 1, kGood.size(), kGood.size() + 2}) {
    RawClient client(world.server->port());
    client.send(whole.substr(0, whole.size() - missing));
    client.end();
    EXPECT_FALSE(client.more()) << client.unread();
  }
  RawClient chunked(world.server->port());
  chunked.send(
      "POST /v1/streams/retail/records HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\n"
      "Transfer-Encoding: chunked\r\n\r\n12\r\n{\"InvoiceNo\":\"1\"}\n\r\n");
  chunked.end();
  EXPECT_FALSE(chunked.more()) << "chunks without a last one";
  // What came whole before it counts.
  RawClient both(world.server->port());
  both.send(whole + whole.substr(0, whole.size() - 1));
  both.end();
  EXPECT_EQ(both.answer().status, 200);
  EXPECT_FALSE(both.more());
  EXPECT_EQ(world.stream->log().durable(), Sequence(1));
}

TEST(Http, AClientThatTakesNothingIsNotReadAndThenClosed) {
  ApiOptions options;
  options.limits.http.write_timeout = std::chrono::milliseconds(100);
  options.limits.http.unanswered_bytes = 64 << 10;
  ApiWorld world(options);
  RawClient client(world.server->port());
  const std::string many = [] {
    std::string text;
    for (int i = 0; i < 1'000; ++i) text += ApiWorld::request("GET", "/metrics");
    return text;
  }();
  // Either sending ends because nobody reads, or it all fits the buffers and the answers do not.
  for (int i = 0; i < 200; ++i) {
    if (!client.send(many)) break;
  }
  while (client.more()) client.unread().clear();
  EXPECT_EQ(world.get("/healthz").status, 200);
}

TEST(Http, OneConnectionTooManyIsTurnedAway) {
  ApiOptions options;
  options.limits.http.connections = 1;
  options.threads = 1;
  ApiWorld world(options);
  RawClient first(world.server->port());
  first.send(ApiWorld::request("GET", "/healthz"));
  EXPECT_EQ(first.answer().status, 200);
  RawClient second(world.server->port());
  const auto answer = second.answer();
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.code(), "too_many_connections");
}

TEST(Http, DrainAnswersWhatIsUnderWayAndThenCloses) {
  ApiWorld world;
  RawClient client(world.server->port());
  client.send(ApiWorld::post(kGood));
  EXPECT_EQ(client.answer().status, 200);
  RawClient tail(world.server->port());
  tail.send(ApiWorld::request("GET", "/v1/streams/retail/records?from=1", {}, "Accept: text/event-stream\r\n"));
  EXPECT_EQ(tail.answer().status, 200);
  EXPECT_NE(tail.until("\n\n\r\n"), "");
  world.server->drain();
  client.send(ApiWorld::post(kGood));
  const auto refused = client.answer();
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.code(), "draining");
  EXPECT_EQ(refused.headers.at("connection"), "close");
  EXPECT_EQ(tail.until("0\r\n\r\n"), "0\r\n\r\n") << "a tail ends in order";
  world.server->stop();
  EXPECT_FALSE(client.more());
}

// Keeps what was said.
class Said final : public Logger {
 public:
  bool enabled(LogLevel) const override { return true; }
  void write(LogLevel, std::string_view message, std::initializer_list<LogField>) override { text += message; }
  std::string text;
};

TEST(Http, APortInUseNamesTheAddressAndTheRemedy) {
  ApiWorld first;
  Said said;
  RealEnv env(said);
  ApiOptions options;
  options.port = first.server->port();
  const auto second = ApiServer::start(env.env, *first.engine, nullptr, first.workers, options);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), boost::system::errc::address_in_use);
  EXPECT_NE(said.text.find("127.0.0.1:" + std::to_string(options.port)), std::string::npos) << said.text;
  EXPECT_NE(said.text.find("in use"), std::string::npos) << said.text;
  EXPECT_NE(said.text.find("--listen"), std::string::npos) << said.text;
}

}  // namespace
}  // namespace tidemill
