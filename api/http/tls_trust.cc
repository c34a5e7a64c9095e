#include "api/http/tls_trust.h"

#include <cctype>

#include "api/http/openssl.h"

namespace tidemill::http {
namespace {

// "sha256:AB:CD…" or plain hexadecimal, as openssl, curl and our log write them. Empty: not one.
std::string plain_fingerprint(std::string_view text) {
  for (const std::string_view prefix : {"sha256:", "SHA256:", "sha256 Fingerprint=", "SHA256 Fingerprint="}) {
    if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
  }
  std::string out;
  for (const char c : text) {
    if (c == ':') continue;
    if (!std::isxdigit(static_cast<unsigned char>(c))) return {};
    out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return out.size() == 64 ? out : std::string();
}

class TrustContext final : public TlsTrustContext {
 public:
  bool take(const TlsTrust& trust, std::string& error) {
    ERR_clear_error();
    context_.reset(SSL_CTX_new(TLS_client_method()));
    if (!context_) return error = "OpenSSL gives no context: " + openssl_reason(), false;
    SSL_CTX* c = context_.get();
    SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(c, "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL");
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(c, 1);
    static constexpr unsigned char kProtocol[] = "\x08http/1.1";
    SSL_CTX_set_alpn_protos(c, kProtocol, sizeof kProtocol - 1);
    if (!trust.fingerprint.empty()) {
      pinned_ = plain_fingerprint(trust.fingerprint);
      if (pinned_.empty())
        return error =
                   "'" + trust.fingerprint + "' is not a SHA-256 fingerprint: 64 hexadecimal digits, colons allowed",
               false;
      return true;  // is_pinned() verifies
    }
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER, nullptr);
    if (trust.ca_file.empty()) {
      SSL_CTX_set_default_verify_paths(c);
    } else if (SSL_CTX_load_verify_file(c, trust.ca_file.c_str()) != 1) {
      return error = trust.ca_file + " holds no certificate in PEM, or cannot be read: " + openssl_reason(), false;
    }
    return true;
  }
  ssl_ctx_st* native() const override { return context_.get(); }
  bool is_pinned(const std::string& sha256) const override { return pinned_.empty() || sha256 == pinned_; }

 private:
  OwnedSslCtx context_;
  std::string pinned_;
};

}  // namespace

std::shared_ptr<const TlsTrustContext> TlsTrustContext::make(const TlsTrust& trust, std::string& error) {
  auto context = std::make_shared<TrustContext>();
  if (!context->take(trust, error)) return nullptr;
  return context;
}

}  // namespace tidemill::http
