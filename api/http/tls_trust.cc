#include "api/http/tls_trust.h"

#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "api/http/own_certificate.h"

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

constexpr std::size_t kFileMax = 1 << 20;

bool read_small_file(const std::string& path, std::string& text, std::string& error) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  text.assign(kFileMax + 1, '\0');
  // A folder opens, and cannot be read.
  if (in.is_open()) in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!in.is_open() || in.bad()) {
    error = "cannot read " + path + ": " + std::strerror(errno != 0 ? errno : EIO);
    return false;
  }
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() <= kFileMax) return true;
  error = path + " is larger than 1 MiB: that is no file of certificates";
  return false;
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
    if (!trust.certificate_file.empty() && !show(trust, error)) return false;
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
    } else {
      return believe(trust.ca_file, error);
    }
    return true;
  }
  ssl_ctx_st* native() const override { return context_.get(); }
  bool is_pinned(const std::string& sha256) const override { return pinned_.empty() || sha256 == pinned_; }

 private:
  bool believe(const std::string& ca_file, std::string& error) {
    std::string text;
    if (!read_small_file(ca_file, text, error)) return error += " (--ca-file)", false;
    const OwnedBio from = bio_of(text);
    std::size_t found = 0;
    for (; const OwnedX509 ca = next_certificate(from.get()); ++found)
      if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context_.get()), ca.get()) != 1)
        return error = "OpenSSL refuses a certificate of " + ca_file + " (--ca-file): " + openssl_reason(), false;
    const bool whole = was_end_of_certificates();
    if (found != 0 && whole) return true;
    error = ca_file + " (--ca-file) holds " + (whole ? "no certificate" : "a certificate that cannot be read") +
            "; it must be PEM (-----BEGIN CERTIFICATE-----)";
    return false;
  }
  bool show(const TlsTrust& trust, std::string& error) {
    std::string certificate, key;
    if (!read_small_file(trust.certificate_file, certificate, error)) return error += " (--cert-file)", false;
    if (!read_small_file(trust.key_file, key, error)) return error += " (--cert-key-file)", false;
    const bool used = use_own_certificate(context_.get(), certificate, key, error) != nullptr;
    OPENSSL_cleanse(key.data(), key.size());
    if (!used)
      error = "cannot show " + trust.certificate_file + " with " + trust.key_file +
              " (--cert-file, --cert-key-file): " + error;
    return used;
  }

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
