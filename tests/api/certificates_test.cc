// Clients' certificates in the place of keys, over real TLS.
#include <gmock/gmock.h>

#include "tests/api/api_world.h"
#include "tests/api/issued_key.h"
#include "tests/api/tls_client.h"

namespace tidemill {
namespace {

using ::testing::HasSubstr;

struct CertificatesApi : ::testing::Test {
  const ClientCertificate till{"till-3"}, next{"till-4"}, third{"till-5"};
  const ClientCertificate stranger{"till-3"};  // of an authority that is not believed
  std::unique_ptr<ApiWorld> world;
  std::string operator_key;

  CertificatesApi() {
    const std::string authorities = till.pem() + next.pem() + third.pem();
    world = std::make_unique<ApiWorld>(with_tls(server_material(authorities, http::ClientCertificates::optional)),
                                       null_logger(), true);
    operator_key = text_of(create({"instance:admin"}));
  }
  Keys::Issued create(const std::vector<std::string>& scopes, std::string tenant = "default") {
    return issue(*world->keys, scopes, std::move(tenant));
  }
  struct Said {
    int status = 0;
    std::string body;
    std::string code() const { return nlohmann::json::parse(body, nullptr, false).value("code", ""); }
  };
  Said ask(const std::string& request, const ClientCertificate* certificate, SSL_SESSION* resume = nullptr) {
    TlsClient client(world->server->port(),
                     {.version = resume ? TLS1_2_VERSION : 0, .certificate = certificate, .resume = resume});
    Said said;
    client.send(request);
    said.status = client.answer(&said.body);
    return said;
  }
  Said post(const ClientCertificate* certificate, const std::string& headers = {}) {
    return ask(ApiWorld::post(kGood, headers + std::string(kJsonHeader)), certificate);
  }
  Said bind(KeyId id, const std::string& pem, const std::string& key, const ClientCertificate* shown = nullptr) {
    return bind_body(id, nlohmann::json{{"certificate", pem}}.dump(), key, shown);
  }
  Said bind_body(KeyId id, const std::string& body, const std::string& key, const ClientCertificate* shown = nullptr) {
    return ask(ApiWorld::request("POST", "/v1/keys/" + to_text(id) + "/certificates", body,
                                 bearer(key) + std::string(kJsonHeader)),
               shown);
  }
  Said unbind(KeyId id, const ClientCertificate& certificate, const std::string& key) {
    return ask(ApiWorld::request(
                   "DELETE",
                   "/v1/keys/" + to_text(id) + "/certificates/" + http::fingerprint_of(certificate.certificate.get()),
                   {}, bearer(key)),
               nullptr);
  }
};

TEST_F(CertificatesApi, OneStandsForItsKeyAndForNothingElse) {
  const auto producer = create({"stream:retail:write"});
  EXPECT_EQ(post(&till).status, 401);
  EXPECT_THAT(post(&till).body, HasSubstr("the client's certificate stands for none"));
  const Said bound = bind(producer.key.id, till.pem(), operator_key);
  ASSERT_EQ(bound.status, 200) << bound.body;
  EXPECT_THAT(bound.body, HasSubstr("CN=till-3,O=Example"));
  EXPECT_THAT(bound.body, HasSubstr(http::fingerprint_of(till.certificate.get())));
  EXPECT_EQ(bind(producer.key.id, till.pem(), operator_key).status, 200) << "once more is no error";

  EXPECT_EQ(post(&till).status, 200);
  EXPECT_EQ(ask(ApiWorld::request("GET", "/v1/streams/retail/records"), &till).code(), "forbidden");
  EXPECT_EQ(ask(ApiWorld::request("GET", "/v1/keys"), &till).code(), "forbidden");
  EXPECT_EQ(post(&next).status, 401);
  EXPECT_EQ(post(nullptr).status, 401);
  EXPECT_EQ(post(&stranger).status, 0) << "not verified: no handshake";
  EXPECT_TRUE(world->keys->find(producer.key.id)->last_used);

  ASSERT_EQ(unbind(producer.key.id, till, operator_key).status, 204);
  EXPECT_EQ(post(&till).status, 401);
  EXPECT_EQ(unbind(producer.key.id, till, operator_key).code(), "certificate_not_found");
}

TEST_F(CertificatesApi, AKeyAndACertificateOfTwoKeysAreNobodys) {
  const auto a = create({"stream:retail:write"}), b = create({"stream:retail:write"});
  ASSERT_EQ(bind(a.key.id, till.pem(), operator_key).status, 200);
  EXPECT_EQ(post(&till, bearer(a)).status, 200);
  const Said said = post(&till, bearer(b));
  EXPECT_EQ(said.status, 401);
  EXPECT_THAT(said.body, HasSubstr("stands for another key"));
  EXPECT_EQ(post(&next, bearer(b)).status, 200) << "one that stands for none says nothing";
  // A header is never passed over in favour of the certificate.
  EXPECT_EQ(post(&till, "Authorization: Bearer \r\n").status, 401);
  EXPECT_EQ(post(&till, "X-Api-Key: \r\n").status, 401);
  EXPECT_EQ(post(&till, "X-Api-Key: nonsense\r\n").status, 401);
  EXPECT_EQ(post(&till, "Authorization: Basic abc\r\n").status, 401);
  EXPECT_EQ(post(&till, bearer(a) + "X-Api-Key: " + text_of(a) + "\r\n").status, 401);
  std::string metrics = ask(ApiWorld::request("GET", "/metrics", {}, bearer(operator_key)), nullptr).body;
  EXPECT_THAT(metrics, HasSubstr("tidemill_requests_denied_total{reason=\"mismatch\"} 1\n"));
}

TEST_F(CertificatesApi, OneEndsWithItsKeyAlsoOnAnOpenConnectionAndAResumedOne) {
  const auto producer = create({"stream:retail:write"});
  ASSERT_EQ(bind(producer.key.id, till.pem(), operator_key).status, 200);
  const std::string request = ApiWorld::post(kGood);
  TlsClient open(world->server->port(), {.version = TLS1_2_VERSION, .certificate = &till});
  open.send(request);
  EXPECT_EQ(open.answer(), 200);
  const std::unique_ptr<SSL_SESSION, http::OpensslFree<SSL_SESSION_free>> session(SSL_get1_session(open.native()));
  EXPECT_EQ(ask(request, nullptr, session.get()).status, 200) << "resumed as who began";
  ASSERT_TRUE(world->keys->revoke(producer.key.id, {}));
  open.send(request);
  std::string body;
  EXPECT_EQ(open.answer(&body), 401);
  EXPECT_THAT(body, HasSubstr("stands for was revoked"));
  EXPECT_EQ(ask(request, nullptr, session.get()).status, 401);
  const auto other = create({"stream:retail:write"});
  EXPECT_EQ(bind(other.key.id, till.pem(), operator_key).code(), "certificate_bound") << "until it is taken from it";
  EXPECT_EQ(bind(producer.key.id, next.pem(), operator_key).code(), "key_ended");
}

TEST_F(CertificatesApi, ATenantsAdministratorBindsToItsOwnKeysOnly) {
  const auto ours = create({"stream:retail:write"}), theirs = create({"stream:retail:write"}, "acme");
  const std::string acme = text_of(create({"server:admin"}, "acme"));
  ASSERT_EQ(bind(ours.key.id, till.pem(), operator_key).status, 200);
  EXPECT_EQ(bind(ours.key.id, next.pem(), acme).code(), "key_not_found");
  EXPECT_EQ(unbind(ours.key.id, till, acme).code(), "key_not_found");
  EXPECT_EQ(bind(theirs.key.id, next.pem(), acme).code(), "forbidden") << "whose it is, nobody knows";
  EXPECT_EQ(bind(theirs.key.id, next.pem(), acme, &third).code(), "forbidden") << "that is another one";
  EXPECT_EQ(bind(theirs.key.id, next.pem(), acme, &next).status, 200) << "who shows it has its private key";
  // What ours gave up acme does not get, or a till that was not told would send it its records.
  ASSERT_EQ(unbind(ours.key.id, till, operator_key).status, 204);
  EXPECT_EQ(bind(theirs.key.id, till.pem(), acme, &till).code(), "certificate_bound");
  EXPECT_EQ(post(&till).status, 401);
  EXPECT_EQ(bind(theirs.key.id, till.pem(), operator_key).status, 200) << "the operator decides";
  // A key with scopes that its administrator may not give would be given by binding to it.
  const auto above = create({"instance:read"}, "acme");
  EXPECT_EQ(bind(above.key.id, third.pem(), acme).code(), "forbidden");
  EXPECT_EQ(bind(theirs.key.id, third.pem(), text_of(create({"stream:*:admin"}, "acme"))).code(), "forbidden");
}

// By a server that believes it as an authority and lets nobody in without one.
bool taken_by_handshake(const ClientCertificate& certificate) {
  ApiWorld world(with_tls(server_material(certificate.pem(), http::ClientCertificates::required)));
  TlsClient client(world.server->port(), {.certificate = &certificate});
  client.send(ApiWorld::request("GET", "/healthz"));
  return client.answer() == 200;
}

// What no handshake takes stands for nobody, and who binds it is told, not who wonders why it is not taken.
TEST_F(CertificatesApi, OneThatNoClientCanShowIsNotBound) {
  const auto producer = create({"stream:retail:write"});
  const auto said = [&](const ClientCertificate::Wanted& wanted) {
    const ClientCertificate certificate("till-3", wanted);
    const Said answer = bind(producer.key.id, certificate.pem(), operator_key);
    const bool is_authority = answer.body.find("authority") != std::string::npos;
    // The handshake says the same, but of authorities.
    if (!wanted.issuer) {
      EXPECT_EQ(answer.status == 200 || is_authority, taken_by_handshake(certificate)) << answer.body;
    }
    return answer.status == 200 ? std::string("bound") : answer.code() + ": " + answer.body;
  };
  using Extensions = std::vector<std::pair<int, const char*>>;
  for (const Extensions& unfit :
       {Extensions{{NID_ext_key_usage, "serverAuth"}}, Extensions{{NID_ext_key_usage, "emailProtection,codeSigning"}},
        Extensions{{NID_key_usage, "critical,keyCertSign"}},
        Extensions{{NID_ext_key_usage, "clientAuth"}, {NID_key_usage, "critical,keyEncipherment"}}})
    EXPECT_THAT(said({.extensions = unfit}),
                AllOf(HasSubstr("invalid_body"), HasSubstr("extendedKeyUsage=clientAuth")));
  EXPECT_THAT(said({.extensions = {{NID_basic_constraints, "critical,CA:TRUE"}}}),
              AllOf(HasSubstr("invalid_body"), HasSubstr("is an authority's"), HasSubstr("CA:FALSE")));
  EXPECT_THAT(said({.rsa_bits = 512}), AllOf(HasSubstr("invalid_body"), HasSubstr("P-256")));
  EXPECT_THAT(said({.issuer = "Clients", .digest = EVP_sha1()}),
              AllOf(HasSubstr("invalid_body"), HasSubstr("SHA-256")));
  EXPECT_EQ(said({.extensions = {{NID_basic_constraints, "critical,CA:FALSE"},
                                 {NID_ext_key_usage, "clientAuth,serverAuth"},
                                 {NID_key_usage, "critical,digitalSignature"}}}),
            "bound");
  EXPECT_EQ(said({.issuer = "Clients"}), "bound");
}

TEST_F(CertificatesApi, ABodyThatIsNoCertificateIsRefusedWithAReason) {
  const auto producer = create({"stream:retail:write"});
  const auto said = [&](const std::string& pem) { return bind(producer.key.id, pem, operator_key); };
  for (const std::string pem : {"", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}) {
    EXPECT_EQ(said(pem).code(), "invalid_body") << pem;
    EXPECT_THAT(said(pem).body, HasSubstr("holds no certificate in PEM")) << pem;
  }
  const Said with_key = said(till.pem() + "-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----\n");
  EXPECT_EQ(with_key.code(), "invalid_body");
  EXPECT_THAT(with_key.body, HasSubstr("private key in it"));
  for (const char* body : {"", "[]", "{}", R"({"certificate":1})", R"({"certificate":"x","more":1})"}) {
    EXPECT_EQ(bind_body(producer.key.id, body, operator_key).code(), "invalid_body") << body;
  }
  ClientCertificate past("past");
  X509_gmtime_adj(X509_getm_notAfter(past.certificate.get()), -30);
  X509_sign(past.certificate.get(), past.key.get(), EVP_sha256());
  EXPECT_THAT(said(past.pem()).body, HasSubstr("has expired at"));
  ASSERT_EQ(said(till.pem()).status, 200);
  ASSERT_EQ(said(next.pem()).status, 200);
  EXPECT_EQ(said(third.pem()).code(), "too_many_certificates");
  WantedKey aws;
  aws.name = "k";
  aws.kind = KeyKind::aws;
  aws.scopes = {*parse_scope("stream:retail:write")};
  EXPECT_THAT(bind(world->keys->create(aws, {})->key.id, third.pem(), operator_key).body,
              HasSubstr("only those of kind api"));
}

}  // namespace
}  // namespace tidemill
