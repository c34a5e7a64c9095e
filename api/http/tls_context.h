#pragma once

#include <cstdint>
#include <memory>
#include <string>

struct ssl_ctx_st;

namespace tidemill::http {

enum class ClientCertificates { none, optional, required };

// What a server shows and whom it believes, as PEM texts.
struct TlsMaterial {
  std::string certificate;  // the server's own first, then those that lead to its authority
  std::string key;          // of the first certificate, not encrypted
  std::string client_ca;    // whoever signs clients' certificates; unless clients is none
  ClientCertificates clients = ClientCertificates::none;
};

// Checked material, ready for connections: TLS 1.2 with AEAD suites and 1.3, no renegotiation, no compression, no early
// data, resumption by tickets whose keys change every hour and are of this context alone. Never changes: a new
// certificate is a new context, and connections keep the one that they began with. Any thread.
class TlsContext {
 public:
  // nullptr, and `error` is a sentence that names the cause and the remedy.
  static std::shared_ptr<const TlsContext> make(const TlsMaterial& material, std::string& error);
  virtual ~TlsContext() = default;

  virtual ssl_ctx_st* native() const = 0;
  virtual const std::string& fingerprint() const = 0;  // SHA-256 of the certificate, 64 lower-case hexadecimal digits
  virtual const std::string& subject() const = 0;      // RFC 2253
  virtual std::int64_t expires_s() const = 0;          // since 1970
};

// A certificate and its key for trying TLS out, made now: for localhost, 127.0.0.1, ::1 and `host` (a name or an
// address, may be empty); good for a year. On failure both are empty and `error` says why.
TlsMaterial self_signed(const std::string& host, std::string& error);

}  // namespace tidemill::http
