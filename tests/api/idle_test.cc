// What a connection costs that waits for its next request; and how long one may be.
#include "api/http/page_pool.h"
#include "api/http/server.h"
#include "tests/api/api_world.h"

namespace tidemill {
namespace {

struct EchoHandler final : http::Handler {
  void handle(const http::Request& request, http::Responder responder) override {
    http::Response r;
    r.content_type = "text/plain";
    r.body = request.body;
    responder.send(std::move(r));
  }
  void answered(std::uint16_t, int, std::chrono::nanoseconds) override {}
};

struct World {
  explicit World(const http::Limits& limits = {}) {
    http::ServerOptions options;
    options.host = "127.0.0.1";
    options.limits = limits;
    server = std::move(*http::Server::listen(options, handler));
    server->start();
  }
  // Until connections hold so much, as their sweep counts it.
  bool holds(std::int64_t bytes) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (server->metrics().buffer_bytes.value() != bytes) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }
  EchoHandler handler;
  std::unique_ptr<http::Server> server;
};

std::string post(const std::string& body) {
  return ApiWorld::request("POST", "/", body);
}

TEST(Idle, AConnectionGivesItsBuffersBackAndGoesOn) {
  World world;
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(std::make_unique<RawClient>(world.server->port()));
  constexpr std::int64_t kSmallString = 15;  // what a std::string has without memory of its own
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < clients.size(); ++i) {
      const std::string body = "hello " + std::to_string(i) + std::string(i * 1'000, 'x');
      clients[i]->send(post(body));
      EXPECT_EQ(clients[i]->answer().body, body);
    }
    EXPECT_TRUE(world.holds(20 * kSmallString)) << world.server->metrics().buffer_bytes.value();
  }
  EXPECT_EQ(world.server->metrics().accepted.value(), 20u);
}

TEST(Idle, WhoSaysHalfOfSomethingKeepsIt) {
  World world;
  RawClient client(world.server->port());
  const std::string request = post("hello");
  client.send(request.substr(0, 30));
  // Longer than an idle connection keeps its buffer.
  EXPECT_TRUE(world.holds(4'096 + 15));
  std::this_thread::sleep_for(std::chrono::milliseconds(1'700));
  EXPECT_EQ(world.server->metrics().buffer_bytes.value(), 4'096 + 15);
  client.send(request.substr(30));
  EXPECT_EQ(client.answer().body, "hello");
}

TEST(Limits, TheLastRequestOfAConnectionClosesIt) {
  http::Limits limits;
  limits.requests = 3;
  World world(limits);
  RawClient client(world.server->port());
  client.send(post("1") + post("2") + post("3") + post("4"));
  for (const char* body : {"1", "2", "3"}) {
    auto answer = client.answer();
    EXPECT_EQ(answer.body, body);
    EXPECT_EQ(answer.headers.count("connection"), body[0] == '3' ? 1u : 0u);
  }
  client.end();
  EXPECT_FALSE(client.more()) << "the fourth is not looked at";
}

TEST(Limits, WhoTakesAnAnswerTooSlowlyIsCutOff) {
  http::Limits limits;
  limits.write_timeout = std::chrono::milliseconds(500);
  limits.write_bytes_per_second = 100 << 20;
  World world(limits);
  RawClient client(world.server->port(), 4'096);
  client.send(post(std::string(12 << 20, 'x')));
  // Something all the time, and never enough.
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  const Counter& cut_off = world.server->metrics().timeouts;
  while (cut_off.value() == 0 && std::chrono::steady_clock::now() < end && client.more()) {
    client.unread().clear();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(cut_off.value(), 1u);
}

TEST(PagePool, PagesAreApartAndComeBack) {
  http::PagePool pool;
  std::vector<char*> taken;
  for (int i = 0; i < 1'000; ++i) {
    taken.push_back(pool.take());
    std::fill_n(taken.back(), http::PagePool::kPage, static_cast<char>(i));
  }
  for (int i = 0; i < 1'000; ++i) {
    EXPECT_EQ(taken[static_cast<std::size_t>(i)][0], static_cast<char>(i));
    EXPECT_EQ(taken[static_cast<std::size_t>(i)][http::PagePool::kPage - 1], static_cast<char>(i));
  }
  EXPECT_EQ(pool.resident(), 1'000 * http::PagePool::kPage);
  for (char* page : taken) pool.give_back(page);
  pool.trim();
  EXPECT_EQ(pool.resident(), 64 * http::PagePool::kPage);
  char* again = pool.take();
  EXPECT_EQ(again, taken.back()) << "the last one is the warmest";
  pool.give_back(again);
}

}  // namespace
}  // namespace tidemill
