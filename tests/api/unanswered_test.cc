// What one connection may have of answers that it has not taken, sent or waiting for their turn.
#include <atomic>

#include "api/http/server.h"
#include "tests/api/api_world.h"

namespace tidemill {
namespace {

constexpr std::size_t kAnswer = 20'000;
constexpr int kRequests = 60;

// Answers each request at once, but keeps the first where it is told to.
struct FirstWaits final : http::Handler {
  explicit FirstWaits(bool waits) : waits_(waits) {}
  void handle(const http::Request& request, http::Responder responder) override {
    if (request.path == "/seen") return responder.send_here(200, "text/plain", {}, std::to_string(seen));
    ++seen;
    if (waits_ && seen == 1) {
      first = std::move(responder);
      return;
    }
    answer(std::move(responder));
  }
  void answered(std::uint16_t, int, std::chrono::nanoseconds) override {}
  static void answer(http::Responder responder) {
    http::Response r;
    r.content_type = "text/plain";
    r.body.assign(kAnswer, 'x');
    responder.send(std::move(r));
  }

  http::Responder first;
  int seen = 0;  // on the one loop only

 private:
  const bool waits_;
};

struct Unanswered : ::testing::Test {
  void serve(bool first_waits) {
    handler = std::make_unique<FirstWaits>(first_waits);
    http::ServerOptions options;
    options.host = "127.0.0.1";
    options.limits.unanswered_bytes = 100'000;
    server = std::move(*http::Server::listen(options, *handler));
    server->start();
  }
  static std::string requests() {
    std::string text;
    for (int i = 0; i < kRequests; ++i) text += ApiWorld::request("GET", "/");
    return text;
  }
  int seen() {
    RawClient other(server->port());
    other.send(ApiWorld::request("GET", "/seen"));
    return std::stoi(other.answer().body);
  }
  void expect_all(RawClient& client) {
    for (int i = 0; i < kRequests; ++i) {
      const auto answer = client.answer();
      ASSERT_EQ(answer.status, 200) << i;
      ASSERT_EQ(answer.body.size(), kAnswer) << i;
    }
  }
  std::unique_ptr<FirstWaits> handler;
  std::unique_ptr<http::Server> server;
};

TEST_F(Unanswered, AnswersThatWaitForTheirTurnCount) {
  serve(true);
  RawClient client(server->port());
  client.send(requests());
  while (seen() < 6) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_LE(seen(), 7) << "100,000 bytes are six answers, and the first is not made yet";
  http::Responder first = std::move(handler->first);
  http::Loop& loop = first.loop();
  loop.post([r = std::make_shared<http::Responder>(std::move(first))] { FirstWaits::answer(std::move(*r)); });
  expect_all(client);
}

// What made too much was sent before anybody looked again: nothing else comes to wake the connection for the rest.
TEST_F(Unanswered, RequestsThatWereLeftInTheBufferAreLookedAtAgain) {
  serve(false);
  RawClient client(server->port(), 1 << 20);
  client.send(requests());
  expect_all(client);
  EXPECT_EQ(seen(), kRequests);
}

}  // namespace
}  // namespace tidemill
