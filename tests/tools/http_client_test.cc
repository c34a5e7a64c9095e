#include "tools/cli/http/client.h"

#include <gtest/gtest.h>

#include "tests/tools/http_stub.h"
#include "tools/cli/json_text.h"
#include "tools/cli/remote.h"

namespace tidemill::cli {
namespace {

HttpClient client_of(const HttpStub& stub) {
  std::string error;
  return HttpClient(*Url::parse(stub.url(), error), {.answer_timeout = std::chrono::milliseconds(20'000)});
}

TEST(Url, Parts) {
  std::string error;
  const auto a = Url::parse("http://127.0.0.1:7077", error);
  EXPECT_EQ(a->host, "127.0.0.1");
  EXPECT_EQ(a->port, 7077);
  EXPECT_EQ(a->path, "");
  EXPECT_EQ(Url::parse("http://h/", error)->path, "");
  EXPECT_EQ(Url::parse("http://h/a/b?c=d#e", error)->path, "/a/b?c=d");
  EXPECT_EQ(Url::parse("http://[::1]:80/x", error)->host, "::1");
  EXPECT_EQ(Url::parse("localhost:7077", error)->port, 7077);
  EXPECT_EQ(Url::parse("http://h", error)->authority(), "h");
  EXPECT_EQ(Url::parse("http://[::1]:8", error)->authority(), "[::1]:8");
  EXPECT_FALSE(Url::parse("http://h", error)->tls);
  EXPECT_TRUE(Url::parse("https://h/a", error)->tls);
  EXPECT_EQ(Url::parse("https://h/a", error)->port, 443);
  EXPECT_EQ(Url::parse("https://h/a", error)->path, "/a");
  EXPECT_EQ(Url::parse("https://h:80", error)->authority(), "h:80");
  EXPECT_EQ(Url::parse("https://h:443", error)->authority(), "h");
  for (const char* bad : {"", "https://", "ftp://h", "http://", "http://h:x", "http://h:99999", "http://u:p@h",
                          "http://a b", "http://h/\r\nX: y"})
    EXPECT_FALSE(Url::parse(bad, error)) << bad;
}

TEST(Url, PercentEncoding) {
  EXPECT_EQ(percent_encode("a/b c,é"), "a%2Fb%20c%2C%C3%A9");
}

TEST(HttpClient, KeepsTheConnectionAlive) {
  HttpStub stub([](const auto& r) { return HttpStub::Reply{.body = r.method + r.target + r.body}; });
  HttpClient client = client_of(stub);
  HttpFailure failure;
  EXPECT_EQ(client.send({.target = "/a"}, failure)->body, "GET/a");
  EXPECT_EQ(client.send({.method = "POST", .target = "/b", .headers = {}, .body = "x"}, failure)->body, "POST/bx");
  EXPECT_EQ(stub.connections(), 1);
}

TEST(HttpClient, ConnectsAnewWhenTheServerClosed) {
  HttpStub stub([](const auto&) {
    return HttpStub::Reply{.body = "ok", .headers = {{"Connection", "close"}}, .close = true};
  });
  HttpClient client = client_of(stub);
  HttpFailure failure;
  EXPECT_EQ(client.send({.target = "/"}, failure)->body, "ok");
  EXPECT_EQ(client.send({.target = "/"}, failure)->body, "ok");
  EXPECT_EQ(stub.connections(), 2);
}

TEST(HttpClient, ChunksTrailersAndInterimAnswers) {
  HttpStub stub([](const auto&) {
    return HttpStub::Reply{
        .raw =
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 207 X\r\nTransfer-Encoding: chunked\r\nX-Y:  z \r\n\r\n"
            "3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nTrailer: t\r\n\r\n"};
  });
  HttpClient client = client_of(stub);
  HttpFailure failure;
  for (int i = 0; i < 2; ++i) {
    const auto r = client.send({.target = "/"}, failure);
    ASSERT_TRUE(r) << failure.message;
    EXPECT_EQ(r->status, 207);
    EXPECT_EQ(r->body, "abcde");
    EXPECT_EQ(r->header("x-y"), "z");
  }
  EXPECT_EQ(stub.connections(), 1);
}

TEST(HttpClient, ABodyThatEndsWithTheConnection) {
  HttpStub stub([](const auto&) { return HttpStub::Reply{.raw = "HTTP/1.1 200 OK\r\n\r\nall of it", .close = true}; });
  HttpFailure failure;
  EXPECT_EQ(client_of(stub).send({.target = "/"}, failure)->body, "all of it");
}

TEST(HttpClient, AStreamCanBeLeft) {
  HttpStub stub([](const auto&) {
    return HttpStub::Reply{.raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n"};
  });
  HttpClient client = client_of(stub);
  HttpFailure failure;
  std::string got;
  const auto r = client.stream(
      {.target = "/"},
      [&](std::string_view piece) {
        got += piece;
        return got.size() < 6;
      },
      failure);
  ASSERT_TRUE(r);
  EXPECT_EQ(got, "onetwo");
}

TEST(HttpClient, FailuresAreToldApart) {
  using Kind = HttpFailure::Kind;
  HttpFailure failure;
  {
    HttpStub stub([](const auto&) { return HttpStub::Reply{.drop = true}; });
    EXPECT_FALSE(client_of(stub).send({.target = "/"}, failure));
    EXPECT_EQ(failure.kind, Kind::lost);
  }
  {
    HttpStub stub([](const auto&) {
      return HttpStub::Reply{.raw = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", .close = true};
    });
    EXPECT_FALSE(client_of(stub).send({.target = "/"}, failure));
    EXPECT_EQ(failure.kind, Kind::lost);
  }
  {
    HttpStub stub([](const auto&) { return HttpStub::Reply{.raw = "SSH-2.0-OpenSSH\r\n\r\n"}; });
    EXPECT_FALSE(client_of(stub).send({.target = "/"}, failure));
    EXPECT_EQ(failure.kind, Kind::broken);
  }
  std::string error;
  std::string url;
  {
    HttpStub gone([](const auto&) { return HttpStub::Reply{}; });
    url = gone.url();
  }
  HttpClient nobody(*Url::parse(url, error), {});
  EXPECT_FALSE(nobody.send({.target = "/"}, failure));
  EXPECT_EQ(failure.kind, Kind::not_connected);
  EXPECT_NE(failure.message.find("Connection refused"), std::string::npos) << failure.message;
}

TEST(HttpClient, AStopEndsTheWaiting) {
  std::atomic<bool> stop{false};
  HttpStub stub([&](const auto&) {
    stop = true;
    return HttpStub::Reply{.raw = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"};
  });
  std::string error;
  HttpClient client(*Url::parse(stub.url(), error), {.stop = &stop});
  HttpFailure failure;
  EXPECT_FALSE(client.send({.target = "/"}, failure));
  EXPECT_EQ(failure.kind, HttpFailure::Kind::stopped);
}

// Of a server that is none of ours, or means harm.
TEST(HttpClientTest, AnAnswerWithoutEndIsNotHeld) {
  std::string endless = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string chunk = "1000000\r\n" + std::string(16 << 20, 'x') + "\r\n";
  for (int i = 0; i < 17; ++i) endless += chunk;
  HttpStub stub([&](const auto&) { return HttpStub::Reply{.raw = endless}; });
  HttpClient client = client_of(stub);
  HttpFailure failure;
  EXPECT_FALSE(client.send({.target = "/"}, failure));
  EXPECT_EQ(failure.kind, HttpFailure::Kind::broken);
  EXPECT_NE(failure.message.find("longer than 256 MiB"), std::string::npos) << failure.message;
}

TEST(DotEnv, NamesValuesQuotesComments) {
  const auto found = parse_dot_env(
      "# c\nAPI_URL=http://x:1 # why\r\nexport API_KEY='a # b'\n\nCSV_PATH = \"my file.csv\"\nEMPTY=\nnonsense\n");
  EXPECT_EQ(found.at("API_URL"), "http://x:1");
  EXPECT_EQ(found.at("API_KEY"), "a # b");
  EXPECT_EQ(found.at("CSV_PATH"), "my file.csv");
  EXPECT_EQ(found.at("EMPTY"), "");
  EXPECT_EQ(found.count("nonsense"), 0u);
}

TEST(JsonText, MembersAsTheyAreSpelled) {
  const std::string_view json = R"({"a":{"b":[1,"]}",2]} , "b" : 1e2,"c\"":"x","d":"y\"z","e":[],"f":null})";
  EXPECT_EQ(json_member(json, "a"), R"({"b":[1,"]}",2]})");
  EXPECT_EQ(json_member(json, "b"), "1e2");
  EXPECT_EQ(json_member(json, "d"), R"("y\"z")");
  EXPECT_EQ(json_member(json, "e"), "[]");
  EXPECT_EQ(json_member(json, "f"), "null");
  EXPECT_EQ(json_member(json, "nope"), "");
  EXPECT_EQ(json_member("[1]", "a"), "");
  EXPECT_EQ(json_member("{\"a\":", "b"), "");
}

}  // namespace
}  // namespace tidemill::cli
