// Keys are judged when the head of a request has come, not after its body.
#include <gtest/gtest.h>

#include "tests/api/api_world.h"
#include "tests/api/issued_key.h"

namespace tidemill {
namespace {

std::string key_of(ApiWorld& world, const std::vector<std::string>& scopes) {
  return text_of(issue(*world.keys, scopes));
}

// Who may not is told so by the head: the body is neither waited for nor asked for, and the connection ends.
TEST(EarlyRefusal, WhoMayNotIsToldBeforeTheBody) {
  ApiWorld world;
  const std::string head = "POST /v1/streams/retail/records HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
  const std::string length = "Content-Length: 1000000\r\n\r\n";
  {  // While there is no key, everybody may, and is waited for.
    RawClient client(world.server->port());
    client.send(head + "Expect: 100-continue\r\nContent-Length: " + std::to_string(kGood.size()) + "\r\n\r\n");
    EXPECT_EQ(client.answer().status, 100);
    client.send(kGood);
    EXPECT_EQ(client.answer().status, 200);
  }
  const std::string admin = key_of(world, {"instance:admin"});
  const std::string reader = key_of(world, {"stream:retail:read"});
  const std::string writer = key_of(world, {"stream:retail:write"});
  const auto denials = [&] {
    const auto text = world.get("/metrics", bearer(admin)).body;
    double sum = 0;
    for (std::size_t at = 0; (at = text.find("tidemill_requests_denied_total{", at)) != std::string::npos; ++at)
      sum += std::stod(text.substr(text.find("} ", at) + 2));
    return sum;
  };
  const double before = denials();
  int refused = 0;
  for (const auto& [sent, status] :
       std::map<std::string, int>{{"", 401},
                                  {bearer(reader), 403},
                                  {bearer("tm_nonsense"), 401},
                                  {"Authorization: Basic eDp5\r\n", 401},
                                  {bearer(writer) + "X-Api-Key: " + writer + "\r\n", 401}}) {
    for (const std::string& rest :
         {length, "Expect: 100-continue\r\n" + length, length + "[" + std::string(200'000, ' '),
          std::string("Transfer-Encoding: chunked\r\n\r\n"),
          std::string("Transfer-Encoding: chunked\r\n\r\n5\r\n[{")}) {
      SCOPED_TRACE(sent + rest.substr(0, 60));
      RawClient client(world.server->port());
      client.send(head + sent + rest);
      const ClientAnswer answer = client.answer();
      EXPECT_EQ(answer.status, status) << answer.body;
      EXPECT_EQ(answer.headers.at("connection"), "close");
      EXPECT_FALSE(client.more());
      ++refused;
    }
  }
  EXPECT_EQ(denials() - before, refused) << "each is counted once";
  for (const auto& [line, status] : std::map<std::string, int>{
           {"HEAD /v1/streams/retail/records", 401}, {"POST /v1/nothing", 404}, {"PATCH /v1/streams/retail", 405}}) {
    RawClient stranger(world.server->port());
    stranger.send(line + " HTTP/1.1\r\nHost: a\r\n" + length);
    const ClientAnswer answer = stranger.answer(line.starts_with("HEAD"));
    EXPECT_EQ(answer.status, status) << line;
    EXPECT_EQ(answer.headers.at("connection"), "close") << line;
  }
  // Behind a good request, whose answer comes first.
  RawClient client(world.server->port());
  client.send(ApiWorld::post(kGood, bearer(writer) + std::string(kJsonHeader)) + head + bearer(reader) + length);
  EXPECT_EQ(client.answer().status, 200);
  EXPECT_EQ(client.answer().status, 403);
  EXPECT_FALSE(client.more());
  // Who may is waited for, however the body comes.
  RawClient good(world.server->port());
  good.send(head + bearer(writer) + "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(good.answer().status, 100);
  good.send("2\r\n{}\r\n0\r\n\r\n");
  EXPECT_EQ(good.answer().code(), "records_rejected");  // it has no partition key
  good.send(head + bearer(writer) + "Content-Length: " + std::to_string(kGood.size()) + "\r\n\r\n");
  good.send(kGood.substr(0, 5));
  good.send(kGood.substr(5));
  EXPECT_EQ(good.answer().status, 200);
}

}  // namespace
}  // namespace tidemill
