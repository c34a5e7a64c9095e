#include "api/http/tls_context.h"

#include <ctime>
#include <utility>

#include "api/http/own_certificate.h"
#include "api/http/tls_tickets.h"

namespace tidemill::http {
namespace {

// Forward secrecy and authenticated encryption only. TLS 1.3's own suites are all of that kind.
constexpr const char* kSuites12 = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL";

// HTTP/1.1 or nothing: a client that offers protocols and not this one is told so (RFC 7301).
int choose_protocol(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* in, unsigned in_size,
                    void*) {
  static constexpr unsigned char kOurs[] = "\x08http/1.1";
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, size, kOurs, sizeof kOurs - 1, in, in_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

class Context final : public TlsContext {
 public:
  bool take(const TlsMaterial& material, std::string& error);
  ssl_ctx_st* native() const override { return context_.get(); }
  const std::string& fingerprint() const override { return fingerprint_; }
  const std::string& subject() const override { return subject_; }
  std::int64_t expires_s() const override { return expires_s_; }

 private:
  bool take_certificate(const TlsMaterial& material, std::string& error);
  bool take_clients(const TlsMaterial& material, std::string& error);

  TicketKeys tickets_;  // outlives the context
  OwnedSslCtx context_;
  std::string fingerprint_;
  std::string subject_;
  std::int64_t expires_s_ = 0;
};

bool Context::take(const TlsMaterial& material, std::string& error) {
  ERR_clear_error();
  context_.reset(SSL_CTX_new(TLS_server_method()));
  if (!context_) return error = "OpenSSL gives no context: " + openssl_reason(), false;
  SSL_CTX* c = context_.get();
  SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
  // Cleansed: what OpenSSL decrypted goes from its buffers when it was handed on; heads bring keys.
  SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                             SSL_OP_PRIORITIZE_CHACHA | SSL_OP_CLEANSE_PLAINTEXT);
  // Idle connections keep no buffers; what is not sent yet may have moved by the next try.
  SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(c, 1);  // one call for a whole record, and for several small ones
  SSL_CTX_set_max_early_data(c, 0);
  SSL_CTX_set_session_cache_mode(c,
                                 SSL_SESS_CACHE_OFF);  // tickets only: nothing is kept for a client that may not return
  SSL_CTX_set_timeout(c, std::chrono::seconds(TicketKeys::kLife).count());
  SSL_CTX_set_num_tickets(c, 1);
  static constexpr unsigned char kSessions[] = "tidemill";
  SSL_CTX_set_session_id_context(c, kSessions, sizeof kSessions - 1);
  SSL_CTX_set_alpn_select_cb(c, choose_protocol, nullptr);
  tickets_.attach(c);
  if (SSL_CTX_set_cipher_list(c, kSuites12) != 1)
    return error = "OpenSSL here has none of the suites that TLS 1.2 is allowed: " + openssl_reason(), false;
  return take_certificate(material, error) && take_clients(material, error);
}

bool Context::take_certificate(const TlsMaterial& material, std::string& error) {
  const OwnedX509 own = use_own_certificate(context_.get(), material.certificate, material.key, error);
  if (!own) return false;
  fingerprint_ = fingerprint_of(own.get());
  subject_ = subject_of(own.get());
  std::tm end{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(own.get()), &end) != 1)
    return error = "the certificate does not say until when it is good", false;
  expires_s_ = ::timegm(&end);
  return true;
}

bool Context::take_clients(const TlsMaterial& material, std::string& error) {
  if (material.clients == ClientCertificates::none) return true;
  const OwnedBio from = bio_of(material.client_ca);
  std::size_t found = 0;
  while (const OwnedX509 ca = next_certificate(from.get())) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context_.get()), ca.get()) != 1 ||
        SSL_CTX_add_client_CA(context_.get(), ca.get()) != 1)
      return error = "OpenSSL refuses a certificate of the clients' authority: " + openssl_reason(), false;
    ++found;
  }
  if (!was_end_of_certificates() || found == 0) {
    return error =
               "the file of server.tls_client_ca holds no certificate in PEM (-----BEGIN CERTIFICATE-----), or one "
               "that cannot be read",
           false;
  }
  const bool required = material.clients == ClientCertificates::required;
  SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
  SSL_CTX_set_verify_depth(context_.get(), 5);
  return true;
}

}  // namespace

std::shared_ptr<const TlsContext> TlsContext::make(const TlsMaterial& material, std::string& error) {
  auto context = std::make_shared<Context>();
  if (!context->take(material, error)) return nullptr;
  return context;
}

}  // namespace tidemill::http
