#pragma once

#include <memory>
#include <string>

struct ssl_ctx_st;

namespace tidemill::http {

// Whom a client believes that it talks to the server it means, and what it shows of itself.
struct TlsTrust {
  std::string ca_file;           // PEM; empty: the system's authorities
  std::string fingerprint;       // SHA-256 of the one certificate to believe, whoever signed it, whatever its names
  std::string certificate_file;  // PEM, with the chain behind it: the client's own; empty: it shows none
  std::string key_file;          // PEM, of that certificate, not encrypted; there if that is there
};

// Checked trust, ready for connections: TLS 1.2 with AEAD suites and 1.3; the certificate is always verified, by its
// authority and name or by its fingerprint. Never changes. Any thread.
class TlsTrustContext {
 public:
  // nullptr, and `error` is a sentence that names the cause and the remedy. Reads files: it blocks.
  static std::shared_ptr<const TlsTrustContext> make(const TlsTrust& trust, std::string& error);
  virtual ~TlsTrustContext() = default;

  virtual ssl_ctx_st* native() const = 0;
  // After the handshake: is it the certificate that was pinned? Always, where none was.
  virtual bool is_pinned(const std::string& sha256) const = 0;
};

}  // namespace tidemill::http
