#pragma once

// Behind the TLS sources only: owners for OpenSSL's things, and its errors as words.

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <optional>
#include <string>

#include "api/http/peer.h"

namespace tidemill::http {

template <auto kFree>
struct OpensslFree {
  template <class T>
  void operator()(T* thing) const {
    kFree(thing);
  }
};
using OwnedBio = std::unique_ptr<BIO, OpensslFree<BIO_free_all>>;
using OwnedX509 = std::unique_ptr<X509, OpensslFree<X509_free>>;
using OwnedKey = std::unique_ptr<EVP_PKEY, OpensslFree<EVP_PKEY_free>>;
using OwnedSslCtx = std::unique_ptr<SSL_CTX, OpensslFree<SSL_CTX_free>>;
using OwnedSsl = std::unique_ptr<SSL, OpensslFree<SSL_free>>;

// The reason of this thread's last error; the queue is empty afterwards.
inline std::string openssl_reason() {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return reason ? reason : "no reason given";
}

std::optional<PeerCertificate> peer_of(const X509* certificate);  // nullopt: it does not say until when it is good
std::string fingerprint_of(const X509* certificate);              // SHA-256, lower-case hexadecimal
std::string subject_of(const X509* certificate);                  // RFC 2253

}  // namespace tidemill::http
