// Certificates, clients' certificates and session tickets.
#include "api/http/tls_context.h"

#include <condition_variable>
#include <mutex>

#include "api/http/server.h"
#include "api/http/tls_tickets.h"
#include "tests/api/api_world.h"
#include "tests/api/tls_client.h"

namespace tidemill {
namespace {

// Answers with whom the certificate names.
struct WhoHandler final : http::Handler {
  void handle(const http::Request& request, http::Responder responder) override {
    http::Response r;
    r.content_type = "text/plain";
    r.body = request.peer ? request.peer->sha256 + " " + request.peer->subject : "nobody";
    responder.send(std::move(r));
  }
  void answered(std::uint16_t, int, std::chrono::nanoseconds) override {}
};

struct World {
  explicit World(const http::TlsMaterial& material) {
    http::ServerOptions options;
    options.host = "127.0.0.1";
    options.tls = context_of(material);
    server = std::move(*http::Server::listen(options, handler));
    server->start();
  }
  std::string who(const TlsClientOptions& options) {
    TlsClient client(server->port(), options);
    std::string body;
    if (!client.connected() || !client.send(ApiWorld::request("GET", "/")) || client.answer(&body) != 200)
      return "refused";
    return body;
  }
  WhoHandler handler;
  std::unique_ptr<http::Server> server;
};

TEST(TlsContext, SaysWhatIsWrongWithTheMaterial) {
  const auto good = server_material();
  const auto other = server_material();
  const auto wrong = [](const http::TlsMaterial& material) {
    std::string error;
    EXPECT_EQ(http::TlsContext::make(material, error), nullptr);
    return error;
  };
  EXPECT_NE(wrong({.certificate = good.certificate, .key = other.key}).find("does not belong"), std::string::npos);
  EXPECT_NE(wrong({.certificate = "", .key = good.key}).find("no certificate"), std::string::npos);
  EXPECT_NE(wrong({.certificate = good.key, .key = good.key}).find("no certificate"), std::string::npos);
  EXPECT_NE(wrong({.certificate = good.certificate, .key = good.certificate}).find("no private key"),
            std::string::npos);
  std::string half = good.certificate;
  half.resize(half.size() / 2);
  EXPECT_NE(wrong({.certificate = half, .key = good.key}).find("no certificate"), std::string::npos);
  EXPECT_NE(wrong({.certificate = good.certificate + half, .key = good.key}).find("chain"), std::string::npos);
  EXPECT_NE(wrong({.certificate = good.certificate,
                   .key = good.key,
                   .client_ca = "x",
                   .clients = http::ClientCertificates::optional})
                .find("server.tls_client_ca"),
            std::string::npos);
  // A password is asked of nobody.
  const http::OwnedKey key(EVP_EC_gen("P-256"));
  const http::OwnedBio out(BIO_new(BIO_s_mem()));
  PEM_write_bio_PKCS8PrivateKey(out.get(), key.get(), EVP_aes_128_cbc(), "secret", 6, nullptr, nullptr);
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  EXPECT_NE(wrong({.certificate = good.certificate, .key = {text, static_cast<std::size_t>(size)}}).find("encrypted"),
            std::string::npos);
}

TEST(TlsContext, SelfSignedIsForTheAddressAndNotForOthers) {
  std::string error;
  const auto material = http::self_signed("192.0.2.7", error);
  const http::OwnedBio in(BIO_new_mem_buf(material.certificate.data(), static_cast<int>(material.certificate.size())));
  const http::OwnedX509 c(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
  ASSERT_TRUE(c);
  for (const char* address : {"127.0.0.1", "::1", "192.0.2.7"})
    EXPECT_EQ(X509_check_ip_asc(c.get(), address, 0), 1) << address;
  EXPECT_EQ(X509_check_host(c.get(), "localhost", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_ip_asc(c.get(), "192.0.2.8", 0), 0);
  const auto context = context_of(material);
  EXPECT_EQ(context->fingerprint(), http::fingerprint_of(c.get()));
  EXPECT_EQ(context->subject(), "CN=Tidemill self-signed");
  const auto now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch());
  EXPECT_NEAR(static_cast<double>(context->expires_s()), static_cast<double>(now.count() + 365L * 86400), 60);
  // What is not a name does not get into the list of names.
  EXPECT_NE(context_of(http::self_signed("x,email:copy", error)), nullptr);
}

TEST(TlsContext, ClientCertificatesAreCheckedAndHandedUp) {
  const ClientCertificate known("producer-7");
  const ClientCertificate stranger("producer-7");
  auto material = server_material();
  material.client_ca = known.pem();
  const std::string name = http::fingerprint_of(known.certificate.get()) + " CN=producer-7,O=Example";
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    SCOPED_TRACE(version);
    material.clients = http::ClientCertificates::none;
    EXPECT_EQ(World(material).who({.version = version, .certificate = &known}), "nobody");
    material.clients = http::ClientCertificates::optional;
    {
      World world(material);
      EXPECT_EQ(world.who({.version = version}), "nobody");
      EXPECT_EQ(world.who({.version = version, .certificate = &known}), name);
      EXPECT_EQ(world.who({.version = version, .certificate = &stranger}), "refused");
    }
    material.clients = http::ClientCertificates::required;
    {
      World world(material);
      EXPECT_EQ(world.who({.version = version}), "refused");
      EXPECT_EQ(world.who({.version = version, .certificate = &known}), name);
      EXPECT_EQ(world.who({.version = version, .certificate = &stranger}), "refused");
    }
  }
}

TEST(TlsContext, SessionsAreResumedWithTheirClientAndNotPastANewCertificate) {
  const ClientCertificate known("producer-7");
  auto material = server_material(known.pem(), http::ClientCertificates::optional);
  World world(material);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    SCOPED_TRACE(version);
    TlsClient first(world.server->port(), {.version = version, .certificate = &known});
    std::string body;
    first.send(ApiWorld::request("GET", "/"));
    ASSERT_EQ(first.answer(&body), 200);
    const std::unique_ptr<SSL_SESSION, http::OpensslFree<SSL_SESSION_free>> session(SSL_get1_session(first.native()));
    EXPECT_EQ(SSL_SESSION_get_max_early_data(session.get()), 0u);
    {
      TlsClient again(world.server->port(), {.version = version, .resume = session.get()});
      std::string same;
      again.send(ApiWorld::request("GET", "/"));
      EXPECT_EQ(again.answer(&same), 200);
      EXPECT_EQ(SSL_session_reused(again.native()), 1);
      EXPECT_EQ(same, body) << "the certificate of the session's first connection";
    }
    world.server->set_tls(context_of(material));
    TlsClient after(world.server->port(), {.version = version, .resume = session.get()});
    after.send(ApiWorld::request("GET", "/"));
    EXPECT_EQ(after.answer(&body), 200);
    EXPECT_EQ(SSL_session_reused(after.native()), 0);
    EXPECT_EQ(body, "nobody");
  }
  EXPECT_EQ(world.server->metrics().handshakes.resumed_12.value(), 1u);
  EXPECT_EQ(world.server->metrics().handshakes.resumed_13.value(), 1u);
  EXPECT_EQ(world.server->metrics().handshakes.full_13.value(), 2u);
}

TEST(TicketKeys, ANewOneEveryHourAndTheLastButOneOpensNothing) {
  http::TicketKeys keys;
  const http::TicketKeys::Time start{};
  const auto at = [&](int minutes) { return start + std::chrono::minutes(minutes); };
  http::TicketKeys::Key first, same, second, third, found;
  bool renew = true;
  ASSERT_TRUE(keys.current(at(0), first));
  ASSERT_TRUE(keys.current(at(59), same));
  EXPECT_EQ(first.name, same.name);
  EXPECT_NE(first.cipher, first.mac);
  ASSERT_TRUE(keys.find(first.name.data(), at(59), found, renew));
  EXPECT_FALSE(renew);
  EXPECT_EQ(found.cipher, first.cipher);
  ASSERT_TRUE(keys.current(at(60), second));
  EXPECT_NE(first.name, second.name);
  EXPECT_NE(first.cipher, second.cipher);
  ASSERT_TRUE(keys.find(first.name.data(), at(119), found, renew));
  EXPECT_TRUE(renew);
  EXPECT_FALSE(keys.find(first.name.data(), at(120), found, renew)) << "also when nobody needed a new one since";
  ASSERT_TRUE(keys.current(at(125), third));
  EXPECT_FALSE(keys.find(first.name.data(), at(60), found, renew)) << "it is gone";
  EXPECT_TRUE(keys.find(second.name.data(), at(125), found, renew));
}

}  // namespace
}  // namespace tidemill
