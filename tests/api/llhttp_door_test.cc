// Every one of llhttp's cases of requests through a socket of a running server: whole, a byte at a time, and pipelined
// behind a good request. What it takes only with a check off (lenient) is refused like anything else that is wrong.

#include <map>

#include "api/http/server.h"
#include "tests/api/api_world.h"
#include "tests/api/llhttp_cases.h"

namespace tidemill {
namespace {

using llhttp::Foreign;

// All answers of one connection, to its end, as "STATUS CODE", or as the echo has it. `said_close`: the last one told
// of the end.
struct Told {
  std::vector<std::string> answers;
  bool said_close = false;
};

Told told(RawClient& client) {
  while (client.more()) {
  }
  Told out;
  std::string_view rest = client.unread();
  while (!rest.empty()) {
    const std::size_t end = rest.find("\r\n\r\n");
    if (!rest.starts_with("HTTP/1.1 ") || end == rest.npos) {
      ADD_FAILURE() << "no answer: " << rest;
      break;
    }
    const std::string_view head = rest.substr(0, end + 2);
    std::string answer(head.substr(9, 3));
    rest.remove_prefix(end + 4);
    out.said_close = head.find("\r\nConnection: close\r\n") != head.npos;
    std::size_t length = 0;
    if (const auto at = head.find("\r\nContent-Length: "); at != head.npos) {
      length = std::stoul(std::string(head.substr(at + 18)));
    }
    if (rest.starts_with("HTTP/1.1 ")) length = 0;  // to HEAD
    const std::string body(rest.substr(0, length));
    rest.remove_prefix(body.size());
    if (const auto json = nlohmann::json::parse(body, nullptr, false); json.is_object() && json.contains("code")) {
      answer += " " + json["code"].get<std::string>();
    } else if (body.starts_with("took ")) {
      answer = body;
    }
    if (answer[0] != '1') out.answers.push_back(answer);
  }
  return out;
}

Told exchange(std::uint16_t port, std::string_view bytes, std::size_t piece) {
  RawClient client(port);
  while (!bytes.empty() && client.send(bytes.substr(0, piece))) bytes.remove_prefix(std::min(piece, bytes.size()));
  client.end();
  return told(client);
}

std::string bytes_of(const Foreign& c) {
  return c.refused || c.type.starts_with("request-lenient") ? c.bytes + llhttp::kEnough : c.bytes;
}

// Nothing is wrong with these but that bytes follow a "Connection: close": they are not looked at.
bool only_behind_close(const Foreign& c) {
  return c.closed || c.type == "request-lenient-keep-alive";
}

// By the suite alone, whatever our parser says of it.
bool must_be_refused(const Foreign& c) {
  if (llhttp::kOnlyMethod.contains(c.name)) return false;
  return !only_behind_close(c) && (c.refused || c.type.starts_with("request-lenient"));
}

// Says how long the body was. It takes every target, so that bodies are read to their end.
struct Measure final : http::Handler {
  void handle(const http::Request& request, http::Responder responder) override {
    http::Response r;
    r.content_type = "text/plain";
    r.body = "took " + std::to_string(request.body.size());
    responder.send(std::move(r));
  }
  void answered(std::uint16_t, int, std::chrono::nanoseconds) override {}
};

TEST(LlhttpDoor, EveryCaseIsCutAlikeWholeBytewiseAndBehindAGoodRequest) {
  const auto cases = llhttp::all_cases();
  if (!cases) GTEST_SKIP() << "http-llhttp is not at hand";
  Measure handler;
  http::ServerOptions options;
  options.host = "127.0.0.1";
  const auto server = std::move(*http::Server::listen(options, handler));
  server->start();
  const auto ask = [&](std::string_view bytes, std::size_t piece) { return exchange(server->port(), bytes, piece); };
  const std::string good = "POST /before HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\nseven c";
  std::map<std::string, std::size_t> seen;
  for (const Foreign& c : *cases) {
    SCOPED_TRACE(c.file + ": " + c.name + " (" + c.type + ")");
    const bool lenient = c.type.starts_with("request-lenient");
    ASSERT_TRUE(lenient || c.type == "request" || c.type == "request-finish");
    ++seen[lenient ? "lenient" : c.type];
    const std::string bytes = bytes_of(c);

    const Told whole = ask(bytes, bytes.size());
    EXPECT_EQ(ask(bytes, 1).answers, whole.answers) << "a byte at a time";
    for (const std::size_t piece : {good.size() + bytes.size(), good.size() + 1}) {
      Told behind = ask(good + bytes, piece);
      ASSERT_FALSE(behind.answers.empty());
      EXPECT_EQ(behind.answers.front(), "took 7");
      behind.answers.erase(behind.answers.begin());
      EXPECT_EQ(behind.answers, whole.answers) << "behind a good request";
    }

    const llhttp::Verdict ours = llhttp::parse(bytes, bytes.size());
    std::vector<std::string> expected;
    for (const std::size_t body : ours.bodies) expected.push_back("took " + std::to_string(body));
    if (bytes.starts_with("HEAD ")) expected = {"200"};
    std::vector<std::string> taken = whole.answers;
    if (!ours.refusal.empty() && ours.refusal != "close") {
      ASSERT_FALSE(taken.empty()) << "nothing was refused";
      EXPECT_TRUE(taken.back().ends_with(" " + ours.refusal)) << taken.back();
      taken.pop_back();
    }
    EXPECT_EQ(taken, expected);

    if (must_be_refused(c)) {
      ASSERT_FALSE(whole.answers.empty()) << "nothing was refused";
      const std::string& last = whole.answers.back();
      EXPECT_TRUE(last.starts_with("400 ") || last == "505 http_version") << last;
      EXPECT_TRUE(whole.said_close);
      if (!lenient) {
        EXPECT_EQ(whole.answers.size(), c.bodies.size() + 1);
      }
    } else if (only_behind_close(c)) {
      EXPECT_EQ(whole.answers.size(), 1u);
      EXPECT_TRUE(whole.said_close);
    }
  }
  server->stop(std::chrono::seconds(1));
  for (const auto& [type, count] : seen) std::printf("%s: %zu cases\n", type.c_str(), count);
  EXPECT_EQ(seen["request-finish"], 3u);
  EXPECT_GE(seen["lenient"], 29u);
  EXPECT_GE(seen["request"], 130u);
}

// The whole program's door may refuse a request by its head (404, 405, 401) before its body shows what is wrong: then
// it reads no more, either.
TEST(LlhttpDoor, NothingOfTheSuiteIsTakenByTheApi) {
  const auto cases = llhttp::all_cases();
  if (!cases) GTEST_SKIP() << "http-llhttp is not at hand";
  ApiWorld world;
  const std::string good = ApiWorld::post(kGood);
  std::uint64_t taken = 0;
  for (const Foreign& c : *cases) {
    const std::string bytes = bytes_of(c);
    for (const auto& [text, piece] : std::vector<std::pair<std::string, std::size_t>>{
             {bytes, bytes.size()}, {bytes, 1}, {good + bytes, good.size() + bytes.size()}, {good + bytes, 1}}) {
      SCOPED_TRACE(c.file + ": " + c.name + " (" + c.type + "), in pieces of " + std::to_string(piece));
      Told all = exchange(world.server->port(), text, piece);
      if (text.size() > bytes.size()) {
        ++taken;
        ASSERT_FALSE(all.answers.empty());
        EXPECT_EQ(all.answers.front(), "200");
        all.answers.erase(all.answers.begin());
      }
      for (const std::string& answer : all.answers) {
        EXPECT_FALSE(answer.starts_with("5") && answer != "505 http_version") << answer;
      }
      if (!must_be_refused(c)) continue;
      ASSERT_FALSE(all.answers.empty()) << "nothing was refused";
      EXPECT_GE(all.answers.back(), "400") << all.answers.back();
      EXPECT_TRUE(all.said_close);
    }
  }
  EXPECT_EQ(world.stream->log().durable(), Sequence(taken)) << "more was taken than the good requests";
}

}  // namespace
}  // namespace tidemill
