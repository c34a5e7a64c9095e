// The server's TLS as OpenSSL's own client meets it: what is spoken, and that HTTP over it is what it is without.
#include "api/metrics/metrics.h"
#include "tests/api/api_world.h"
#include "tests/api/tls_client.h"

namespace tidemill {
namespace {

TEST(Tls, OldVersionsAndWeakSuitesAreNotSpoken) {
  ApiWorld world(with_tls());
  const std::uint16_t port = world.server->port();
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION})
    EXPECT_FALSE(TlsClient(port, {.version = version, .suites_12 = "ALL"}).connected()) << version;
  for (const char* suite : {"ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA", "AES128-GCM-SHA256", "AES256-SHA",
                            "ECDHE-ECDSA-AES128-CCM8"})
    EXPECT_FALSE(TlsClient(port, {.version = TLS1_2_VERSION, .suites_12 = suite}).connected()) << suite;
  for (const char* suite : {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"}) {
    TlsClient client(port, {.version = TLS1_2_VERSION, .suites_12 = suite});
    ASSERT_TRUE(client.connected()) << suite;
    client.send(ApiWorld::request("GET", "/healthz"));
    EXPECT_EQ(client.answer(), 200) << suite;
  }
  TlsClient client(port, {.version = TLS1_3_VERSION});
  client.send(ApiWorld::request("GET", "/healthz"));
  EXPECT_EQ(client.answer(), 200);
}

TEST(Tls, ProtocolsAreNegotiated) {
  ApiWorld world(with_tls());
  using namespace std::string_view_literals;
  TlsClient both(world.server->port(), {.protocols = "\x02h2\x08http/1.1"sv});
  ASSERT_TRUE(both.connected());
  const unsigned char* chosen = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(both.native(), &chosen, &size);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(chosen), size), "http/1.1");
  EXPECT_FALSE(TlsClient(world.server->port(), {.protocols = "\x02h2"sv}).connected());
}

TEST(Tls, NothingIsNegotiatedAgain) {
  ApiWorld world(with_tls());
  TlsClient client(world.server->port(), {.version = TLS1_2_VERSION});
  ASSERT_TRUE(client.connected());
  EXPECT_EQ(SSL_get_current_compression(client.native()), nullptr);
  SSL_renegotiate(client.native());
  EXPECT_NE(SSL_do_handshake(client.native()), 1);
}

TEST(Tls, KeysAreUpdatedInTheMiddle) {
  ApiWorld world(with_tls());
  TlsClient client(world.server->port(), {.version = TLS1_3_VERSION});
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(SSL_key_update(client.native(), SSL_KEY_UPDATE_REQUESTED), 1);
    ASSERT_TRUE(client.send(ApiWorld::post(kGood)));
    ASSERT_EQ(client.answer(), 200);
  }
}

TEST(Tls, PlainHttpIsToldSoAndNeverRedirected) {
  ApiWorld world(with_tls());
  for (const char* method : {"GET", "POST", "DELETE", "BREW"}) {
    RawClient plain(world.server->port());
    plain.send(ApiWorld::request(method, "/healthz"));
    auto answer = plain.answer();
    EXPECT_EQ(answer.status, 400) << method;
    EXPECT_EQ(answer.code(), "tls_required");
    EXPECT_EQ(answer.headers["connection"], "close");
    EXPECT_EQ(answer.headers.count("location"), 0u);
    EXPECT_FALSE(plain.more());
  }
  RawClient noise(world.server->port());
  noise.send(std::string(300, '\x01'));
  EXPECT_EQ(noise.answer().status, 0);
  TlsClient good(world.server->port());
  good.send(ApiWorld::request("GET", "/metrics"));
  std::string metrics;
  EXPECT_EQ(good.answer(&metrics), 200);
  EXPECT_NE(metrics.find(R"(tidemill_tls_handshakes_total{result="plain_http",version="none"} 4)"), std::string::npos);
  EXPECT_NE(metrics.find(R"(tidemill_tls_handshakes_total{result="failed",version="none"} 1)"), std::string::npos);
  EXPECT_NE(metrics.find(R"(tidemill_tls_handshakes_total{result="full",version="1.3"} 1)"), std::string::npos);
  for (const MetricDescription& m : metric_table()) {  // these are there with TLS only
    if (!m.name.starts_with("tidemill_tls_")) continue;
    EXPECT_NE(metrics.find("# HELP " + std::string(m.name) + " "), std::string::npos) << m.name;
  }
}

TEST(Tls, ASlowHandshakeIsCutOff) {
  ApiOptions options = with_tls();
  options.limits.http.header_timeout = std::chrono::milliseconds(1);
  ApiWorld world(options);
  RawClient silent(world.server->port());
  EXPECT_FALSE(silent.more());
  RawClient slow(world.server->port());
  slow.send("\x16\x03\x01");
  EXPECT_FALSE(slow.more());
}

TEST(Tls, ANewCertificateIsForNewConnectionsOnly) {
  const auto first = server_material();
  ApiWorld world(with_tls(first));
  const std::uint16_t port = world.server->port();
  TlsClient before(port);
  before.send(ApiWorld::post(kGood));
  EXPECT_EQ(before.answer(), 200);
  const auto second = context_of(server_material());
  world.server->set_tls(second);
  TlsClient after(port);
  after.send(ApiWorld::post(kGood));
  EXPECT_EQ(after.answer(), 200);
  EXPECT_EQ(before.server_fingerprint(), context_of(first)->fingerprint());
  EXPECT_EQ(after.server_fingerprint(), second->fingerprint());
  before.send(ApiWorld::post(kGood));
  EXPECT_EQ(before.answer(), 200) << "the connection of before goes on";
}

TEST(Tls, ANewCertificateUnderLoadDropsNobody) {
  ApiWorld world(with_tls());
  std::atomic<bool> stop{false};
  std::atomic<int> answered{0}, lost{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&, i] {
      while (!stop) {
        TlsClient client(world.server->port());
        for (int n = 0; n < (i == 0 ? 1 : 500) && !stop; ++n) {
          client.send(ApiWorld::request("GET", "/healthz"));
          ++(client.answer() == 200 ? answered : lost);
        }
      }
    });
  }
  for (int i = 0; i < 20; ++i) {
    const int before = answered;
    world.server->set_tls(context_of(server_material()));
    while (answered < before + 50 && lost == 0) std::this_thread::yield();
  }
  stop = true;
  for (auto& client : clients) client.join();
  EXPECT_EQ(lost, 0);
}

TEST(Tls, HalfClosedAndCutOff) {
  ApiWorld world(with_tls());
  TlsClient half(world.server->port());
  half.send(ApiWorld::post(kGood) + ApiWorld::post(kGood));
  half.end();
  EXPECT_EQ(half.answer(), 200);
  EXPECT_EQ(half.answer(), 200);
  EXPECT_FALSE(half.more());
  EXPECT_TRUE(half.ended_in_order()) << "the server says that this was all";
  // Cut off without a word: what came whole counts, what did not does not.
  const std::string whole = ApiWorld::post(kGood);
  TlsClient cut(world.server->port());
  cut.send(whole + whole.substr(0, whole.size() - 1));
  cut.cut();
  while (cut.more()) {
  }
  // Nobody is told of its end: one that comes later is.
  TlsClient look(world.server->port());
  look.send(ApiWorld::post(kGood));
  EXPECT_EQ(look.answer(), 200);
  EXPECT_EQ(world.stream->log().durable(), Sequence(4));
}

TEST(Tls, RequestsArePipelinedAndCutAnywhere) {
  ApiWorld world(with_tls());
  TlsClient client(world.server->port());
  std::string many;
  for (int i = 0; i < 300; ++i) many += i % 3 == 0 ? ApiWorld::post(kGood) : ApiWorld::request("GET", "/healthz");
  ASSERT_TRUE(client.send(many));
  for (int i = 0; i < 300; ++i) ASSERT_EQ(client.answer(), 200) << i;
  for (const char c : ApiWorld::post(kGood)) ASSERT_TRUE(client.send(std::string(1, c)));  // a record a byte
  EXPECT_EQ(client.answer(), 200);
}

TEST(Tls, LargeBodiesGoBothWaysAlsoSlowly) {
  ApiWorld world(with_tls());
  TlsClient client(world.server->port(), {.receive_bytes = 4'096});
  std::string body;
  for (int i = 0; body.size() < (6u << 20); ++i)
    body += R"({"InvoiceNo":")" + std::to_string(i) + R"(","Description":")" + std::string(900, 'x') + "\"}\n";
  ASSERT_TRUE(client.send(ApiWorld::post(body, kNdjsonHeader)));
  EXPECT_EQ(client.answer(), 200);
  std::string page;
  client.send(ApiWorld::request("GET", "/v1/streams/retail/records?limit=10000"));
  EXPECT_EQ(client.answer(&page), 200);
  EXPECT_GT(page.size(), body.size());
  EXPECT_TRUE(nlohmann::json::accept(page));
}

TEST(Tls, TailsAreSentAsTheyCome) {
  ApiWorld world(with_tls());
  TlsClient tail(world.server->port());
  tail.send(ApiWorld::request("GET", "/v1/streams/retail/records", {}, "Accept: text/event-stream\r\n"));
  EXPECT_EQ(tail.answer(), 200);
  TlsClient producer(world.server->port());
  for (int i = 1; i <= 3; ++i) {
    producer.send(ApiWorld::post(kGood));
    EXPECT_EQ(producer.answer(), 200);
    EXPECT_NE(tail.until("\"InvoiceNo\":\"1\""), "");
  }
  world.server->drain();
  EXPECT_NE(tail.until("0\r\n\r\n"), "");
}

TEST(Tls, ManyWaitWithoutAWordAndGoOn) {
  ApiWorld world(with_tls());
  TlsClient client(world.server->port());
  client.send(ApiWorld::request("GET", "/healthz"));
  EXPECT_EQ(client.answer(), 200);
  // Idle for over a second, it has given its memory back.
  TlsClient look(world.server->port());
  std::string metrics;
  for (int tries = 0; tries < 100; ++tries) {
    look.send(ApiWorld::request("GET", "/metrics"));
    ASSERT_EQ(look.answer(&metrics), 200);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  client.send(ApiWorld::post(kGood));
  EXPECT_EQ(client.answer(), 200);
}

}  // namespace
}  // namespace tidemill
