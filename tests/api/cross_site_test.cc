// What a browser on this machine may be made to send by pages of other sites.
#include <gmock/gmock.h>

#include "api/router/cross_site.h"
#include "tests/api/api_world.h"
#include "tests/api/issued_key.h"
#include "tests/api/tls_client.h"

namespace tidemill {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kForm = "Content-Type: application/x-www-form-urlencoded\r\n";  // what needs no asking first
constexpr std::string_view kAsk = R"({"sql":"SELECT 1"})";

struct CrossSiteApi : ::testing::Test {
  ApiWorld world{{}, null_logger(), true};
  ClientAnswer sql(std::string headers) {
    return world.ask(ApiWorld::request("POST", "/v1/sql", kAsk, headers + std::string(kForm)));
  }
};

TEST_F(CrossSiteApi, APageOfAnotherSiteChangesNothingWithoutAKey) {
  for (const char* headers :
       {"Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-site\r\n", "Origin: https://evil.example\r\n",
        "Origin: null\r\n", "Origin: \r\n", "Sec-Fetch-Site: cross-site\r\nOrigin: http://a\r\n"}) {
    const ClientAnswer answer = sql(headers);
    EXPECT_EQ(answer.status, 403) << headers;
    EXPECT_EQ(answer.code(), "forbidden");
    EXPECT_THAT(answer.body, HasSubstr("for a page of another site"));
  }
  const std::string evil = "Origin: https://evil.example\r\n";
  const std::string make = R"({"name":"a","scopes":["instance:admin"]})";
  EXPECT_EQ(world.ask(ApiWorld::request("POST", "/v1/keys", make, evil + std::string(kForm))).status, 403);
  EXPECT_FALSE(world.keys->any());
  EXPECT_EQ(world.ask(ApiWorld::request("DELETE", "/v1/views/customers", {}, evil)).status, 403);
}

TEST_F(CrossSiteApi, OthersAreLetIn) {
  for (const char* headers : {"", "Sec-Fetch-Site: same-origin\r\nOrigin: http://other\r\n", "Sec-Fetch-Site: none\r\n",
                              "Origin: http://a\r\n", "Origin: https://A\r\n"})
    EXPECT_EQ(sql(headers).status, 200) << headers;
  EXPECT_EQ(world.ask(ApiWorld::request("GET", "/v1/views", {}, "Sec-Fetch-Site: cross-site\r\n")).status, 200);
  const auto key = issue(*world.keys, {"instance:admin"});
  EXPECT_EQ(sql("Sec-Fetch-Site: cross-site\r\n" + bearer(key)).status, 200);
  EXPECT_EQ(sql("Sec-Fetch-Site: cross-site\r\n").status, 401);
}

TEST_F(CrossSiteApi, ANameThatTheWorldKnowsIsNotThisMachine) {
  const auto ask = [&](const std::string& host, const char* path) {
    return world.ask("GET " + std::string(path) + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
  };
  const ClientAnswer answer = ask("evil.example:7077", "/v1/views");
  EXPECT_EQ(answer.status, 403);
  EXPECT_THAT(answer.body, HasSubstr("only this machine is served"));
  EXPECT_EQ(ask("evil.example", "/healthz").status, 200);
  for (const char* host : {"127.0.0.1:7077", "[::1]:7077", "localhost:7077", "box", "box:7077", "a.localhost"})
    EXPECT_EQ(ask(host, "/v1/views").status, 200) << host;
  issue(*world.keys, {"instance:admin"});
  EXPECT_EQ(ask("evil.example", "/v1/views").status, 401) << "with keys any name will do";
}

TEST(CrossSite, WhatIsLocal) {
  for (const char* host : {"10.0.0.1", "127.0.0.1:1", "[fe80::1]:1", "LOCALHOST", "x.y.LocalHost:9", "a", ""})
    EXPECT_TRUE(is_local_host(host)) << host;
  for (const char* host : {"example.org", "example.org:80", "127.0.0.1.example.org", "1.2.3", "localhost.", "a."})
    EXPECT_FALSE(is_local_host(host)) << host;
}

// A browser shows a certificate that is in its store to whoever asks, for a page of any site.
TEST(CrossSiteCertificate, DoesNotStandForAKeyThere) {
  const ClientCertificate till("till-3");
  ApiWorld world(with_tls(server_material(till.pem(), http::ClientCertificates::optional)), null_logger());
  const auto key = issue(*world.keys, {"instance:admin"});
  KeyCertificate certificate;
  certificate.sha256 = parse_hash(http::fingerprint_of(till.certificate.get())).value();
  certificate.expires = world.real.env.clock.wall() + std::chrono::hours(1);
  ASSERT_TRUE(world.keys->bind(key.key.id, certificate, true, {}));
  TlsClient client(world.server->port(), {.certificate = &till});
  const auto ask = [&](std::string headers) {
    client.send(ApiWorld::request("POST", "/v1/streams/retail/records", R"({"InvoiceNo":"1"})",
                                  headers + "Content-Type: application/json\r\n"));
    return client.answer();
  };
  EXPECT_EQ(ask(""), 200);
  EXPECT_EQ(ask("Sec-Fetch-Site: cross-site\r\n"), 403);
  EXPECT_EQ(ask("Origin: https://evil.example\r\n"), 403);
}

}  // namespace
}  // namespace tidemill
