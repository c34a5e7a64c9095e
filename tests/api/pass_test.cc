// Answers that have no end, and the keys by which whoever reads them was let in.
#include <gmock/gmock.h>

#include "tests/api/api_world.h"
#include "tests/api/issued_key.h"
#include "tests/api/tls_client.h"

namespace tidemill {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kRecords = "/v1/streams/retail/records";
constexpr std::string_view kSale =
    R"({"InvoiceNo":"A","CustomerID":"7","Quantity":1,"UnitPrice":1,"Country":"UK","StockCode":"a"})";
constexpr std::string_view kChanges = "/v1/views/customers/changes";

// All that came until the answer ended. One that goes on says so every 15 seconds: it is not waited for.
template <class Client>
std::string rest(Client& client) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (client.unread().find("\r\n0\r\n\r\n") == std::string::npos && std::chrono::steady_clock::now() < end)
    if (!client.more()) break;
  return client.unread();
}

struct PassApi : ::testing::Test {
  ApiWorld world{{}, null_logger(), true};

  Keys::Issued create(const char* scope) { return issue(*world.keys, {scope}); }
  // One that follows, and has been told that it does.
  std::unique_ptr<RawClient> follow(std::string_view path, std::string headers) {
    auto client = std::make_unique<RawClient>(world.server->port());
    client->send(ApiWorld::request("GET", path, {}, headers + "Accept: text/event-stream\r\n"));
    EXPECT_EQ(client->answer().status, 200) << path;
    if (path == kChanges) {
      EXPECT_THAT(client->until("event: current\n"), Not(""));
    }
    return client;
  }
  void add(std::string_view headers) {
    EXPECT_EQ(world.ask(ApiWorld::post(kSale, std::string(headers) + std::string(kJsonHeader))).status, 200);
  }
};

TEST_F(PassApi, ARevokedKeyEndsWhatItFollows) {
  const auto admin = create("instance:admin"), reader = create("server:admin"), other = create("server:admin");
  for (const std::string_view path : {kRecords, kChanges}) {
    auto theirs = follow(path, bearer(reader)), stays = follow(path, bearer(other));
    const auto another = create("server:admin");
    auto silent = follow(path, bearer(another));
    ASSERT_EQ(world.ask(ApiWorld::request("DELETE", "/v1/keys/" + to_text(another.key.id), {}, bearer(admin))).status,
              204);
    // At once, and not only when there is something to send.
    EXPECT_THAT(rest(*silent), AllOf(HasSubstr("event: error\ndata: {"), HasSubstr("\"code\":\"unauthorized\""),
                                     HasSubstr("The key was revoked.")));
    add(bearer(admin));
    EXPECT_THAT(theirs->until(path == kRecords ? "data: {" : "event: current\n"), Not(""));
    EXPECT_THAT(stays->until(path == kRecords ? "data: {" : "event: current\n"), Not(""));
    // Nobody wakes anybody here: the next record does.
    const auto gone = create("server:admin");
    auto woken = follow(path, bearer(gone));
    ASSERT_TRUE(world.keys->revoke(gone.key.id, {}));
    add(bearer(admin));
    EXPECT_THAT(rest(*woken),
                AllOf(HasSubstr("The key was revoked."), Not(HasSubstr("InvoiceNo")), Not(HasSubstr("event: row"))));
    EXPECT_THAT(stays->until(path == kRecords ? "data: {" : "event: current\n"), Not("")) << "another key";
  }
}

TEST_F(PassApi, AReplacedSecretIsGoodForItsGraceAndNoLonger) {
  const auto admin = create("instance:admin"), reader = create("server:admin");
  const std::string rotate = "/v1/keys/" + to_text(reader.key.id) + "/rotate";
  const auto turn = [&](const char* body) {
    const auto answer = world.ask(ApiWorld::request("POST", rotate, body, bearer(admin) + std::string(kJsonHeader)));
    EXPECT_EQ(answer.status, 200) << answer.body;
  };
  auto tail = follow(kRecords, bearer(reader));
  turn(R"({"grace_seconds":3600})");
  add(bearer(admin));
  EXPECT_THAT(tail->until("data: {"), Not("")) << "within its grace";
  turn(R"({"grace_seconds":0})");
  EXPECT_THAT(rest(*tail), HasSubstr("The key's secret was replaced"));
}

TEST_F(PassApi, WhatAnybodyCouldFollowEndsWithTheFirstKey) {
  auto tail = follow(kRecords, {}), watch = follow(kChanges, {});
  const auto made =
      world.ask(ApiWorld::request("POST", "/v1/keys", R"({"name":"a","scopes":["instance:admin"]})", kJsonHeader));
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_THAT(rest(*tail), HasSubstr("The first key was made"));
  EXPECT_THAT(rest(*watch), HasSubstr("The first key was made"));
}

TEST(PassOfACertificate, EndsWhenItIsUnbound) {
  const ClientCertificate till("till-3");
  ApiWorld world(with_tls(server_material(till.pem(), http::ClientCertificates::optional)));
  const auto key = issue(*world.keys, {"server:admin"});
  KeyCertificate certificate;
  certificate.sha256 = parse_hash(http::fingerprint_of(till.certificate.get())).value();
  certificate.expires = world.real.env.clock.wall() + std::chrono::hours(1);
  ASSERT_TRUE(world.keys->bind(key.key.id, certificate, true, {}));
  TlsClient tail(world.server->port(), {.certificate = &till});
  tail.send(ApiWorld::request("GET", kRecords, {}, "Accept: text/event-stream\r\n"));
  ASSERT_EQ(tail.answer(), 200);
  TlsClient asks(world.server->port(), {.certificate = &till});
  asks.send(
      ApiWorld::request("DELETE", "/v1/keys/" + to_text(key.key.id) + "/certificates/" + hex_of(certificate.sha256)));
  EXPECT_EQ(asks.answer(), 204);
  EXPECT_THAT(rest(tail), HasSubstr("The client's certificate does not stand for the key any more."));
}

}  // namespace
}  // namespace tidemill
