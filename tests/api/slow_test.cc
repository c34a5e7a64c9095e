// Clients that send a little again and again, so that no timer of silence ends: the time of a header and the rate of a
// body are counted over the whole of it, and nothing of such a client is left.

#include <atomic>
#include <future>
#include <thread>

#include "tests/api/api_world.h"

namespace tidemill {
namespace {

using namespace std::chrono_literals;

ApiOptions impatient() {
  ApiOptions options;
  options.limits.http.header_timeout = 300ms;
  options.limits.http.body_grace = 300ms;
  options.limits.http.body_bytes_per_second = 1'000;
  options.limits.http.idle_timeout = 2s;
  return options;
}

// Sends `begin`, then `piece` every `pause` until it is answered or `times` are over; and goes on when it is answered,
// as who does harm would, until `until`.
class Trickle {
 public:
  Trickle(ApiWorld& world, std::string begin, std::string piece, std::chrono::milliseconds pause, int times)
      : client_(world.server->port()) {
    client_.send(begin);
    answer_ = std::async(std::launch::async, [this] { return client_.answer(); });
    sender_ = std::thread([this, piece = std::move(piece), pause, times] {
      for (int i = 0; i < times && !ended_ && client_.send(piece); ++i) std::this_thread::sleep_for(pause);
    });
  }
  ~Trickle() {
    ended_ = true;
    sender_.join();
  }
  Trickle(const Trickle&) = delete;
  Trickle& operator=(const Trickle&) = delete;

  ClientAnswer answer() { return answer_.get(); }

 private:
  RawClient client_;
  std::future<ClientAnswer> answer_;
  std::thread sender_;
  std::atomic<bool> ended_ = false;
};

std::string number(ApiWorld& world, const std::string& name) {
  const std::string text = world.get("/metrics").body;
  const auto at = text.find("\n" + name + " ");
  if (at == text.npos) return "no " + name;
  const auto from = at + name.size() + 2;
  return text.substr(from, text.find('\n', from) - from);
}

TEST(Slow, AFewBytesAtATimeKeepNothingOpen) {
  ApiWorld world(impatient());
  const std::string head = "POST /v1/streams/retail/records HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
  struct Case {
    const char* name;
    std::string begin;
    std::string piece;
    enum { refused, good_first, malformed } end = refused;
  };
  // A piece comes every 20 ms; with 10 bytes that is half of the rate, or less where the machine is busy.
  const std::vector<Case> cases{
      {"a header's name", "GET /healthz HTTP/1.1\r\nHost: a\r\nX-", "a"},
      {"headers, each whole", "GET /healthz HTTP/1.1\r\nHost: a\r\n", "A: b\r\n"},
      {"the request line", "GET /", "a"},
      {"empty lines before a request", "", "\r\n", Case::malformed},
      {"a header behind a good request", ApiWorld::request("GET", "/healthz") + "GET /healthz HTTP/1.1\r\nX: ", "a",
       Case::good_first},
      {"a body", head + "Content-Length: 100000\r\n\r\n{", "          "},
      {"chunks", head + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", "1\r\n \r\n"},
      {"a chunk's extension", head + "Transfer-Encoding: chunked\r\n\r\n1;", "a"},
      {"trailers", head + "Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n", "A: b\r\n"},
  };
  std::vector<std::unique_ptr<Trickle>> clients;
  const auto begun = std::chrono::steady_clock::now();
  for (const Case& c : cases) clients.push_back(std::make_unique<Trickle>(world, c.begin, c.piece, 20ms, 2'000));
  for (std::size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(cases[i].name);
    ClientAnswer first = clients[i]->answer();
    if (cases[i].end == Case::malformed) {
      EXPECT_EQ(first.status, 400) << "there may be one";
      continue;
    }
    if (cases[i].end == Case::good_first) {
      EXPECT_EQ(first.status, 200);
      continue;
    }
    EXPECT_EQ(first.status, 408) << first.body;
    if (first.closed) continue;
    EXPECT_EQ(first.code(), "request_timeout");
    EXPECT_EQ(first.headers["connection"], "close");
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 8s) << "they were told only when the test's own patience ended";
  // They go on sending; nothing waits for them to stop. The one that is left is the one that asks.
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (number(world, "tidemill_http_connections") != "1" && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(100ms);
  }
  EXPECT_EQ(number(world, "tidemill_http_connections"), "1");
  EXPECT_EQ(number(world, "tidemill_http_timeouts_total"), std::to_string(cases.size() - 1))
      << "all but the malformed one";
  EXPECT_EQ(world.stream->log().durable(), Sequence(0));
}

// The other side: many times longer than any of these times, but at ten times the rate.
TEST(Slow, ABodyAboveTheRateMayTakeLong) {
  ApiWorld world(impatient());
  const std::string piece(100, ' ');
  constexpr int kPieces = 150;
  const std::string begin =
      "POST /v1/streams/retail/records HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: " +
      std::to_string(kGood.size() + kPieces * piece.size()) + "\r\n\r\n" + std::string(kGood);
  const auto begun = std::chrono::steady_clock::now();
  Trickle client(world, begin, piece, 10ms, kPieces);
  const ClientAnswer answer = client.answer();
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_GT(std::chrono::steady_clock::now() - begun, 1s);
}

}  // namespace
}  // namespace tidemill
