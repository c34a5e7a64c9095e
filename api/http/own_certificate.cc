#include "api/http/own_certificate.h"

#include <openssl/pem.h>

#include <climits>

namespace tidemill::http {
namespace {

// Never asks a terminal.
int no_password(char*, int, int, void*) {
  return -1;
}

}  // namespace

OwnedBio bio_of(const std::string& text) {
  return OwnedBio(text.size() > INT_MAX ? nullptr : BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

OwnedX509 next_certificate(BIO* from) {
  return OwnedX509(PEM_read_bio_X509(from, nullptr, no_password, nullptr));
}

// The end of a text is an error to OpenSSL, too.
bool was_end_of_certificates() {
  const auto last = ERR_peek_last_error();
  ERR_clear_error();
  return last == 0 || ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
}

OwnedX509 use_own_certificate(SSL_CTX* context, const std::string& certificate, const std::string& key,
                              std::string& error) {
  const OwnedBio certificates = bio_of(certificate);
  OwnedX509 own = next_certificate(certificates.get());
  if (!own) {
    ERR_clear_error();
    return error = "the certificate's file holds no certificate in PEM (-----BEGIN CERTIFICATE-----)", nullptr;
  }
  const OwnedBio key_text = bio_of(key);
  const OwnedKey own_key(PEM_read_bio_PrivateKey(key_text.get(), nullptr, no_password, nullptr));
  if (!own_key) {
    ERR_clear_error();
    const bool encrypted = key.find("ENCRYPTED") != std::string::npos;
    error = encrypted
                ? "the key is encrypted, and nobody is there to type its password: store it without one, readable "
                  "by its user only (openssl pkey -in KEY -out NEW)"
                : "the key's file holds no private key in PEM (-----BEGIN PRIVATE KEY-----)";
    return nullptr;
  }
  if (X509_check_private_key(own.get(), own_key.get()) != 1) {
    ERR_clear_error();
    return error = "the key does not belong to the certificate: their public keys differ", nullptr;
  }
  if (SSL_CTX_use_certificate(context, own.get()) != 1 || SSL_CTX_use_PrivateKey(context, own_key.get()) != 1)
    return error = "OpenSSL refuses the certificate: " + openssl_reason(), nullptr;
  while (const OwnedX509 next = next_certificate(certificates.get())) {
    if (SSL_CTX_add1_chain_cert(context, next.get()) != 1)
      return error = "OpenSSL refuses a certificate of the chain: " + openssl_reason(), nullptr;
  }
  if (!was_end_of_certificates()) return error = "a certificate of the chain cannot be read", nullptr;
  return own;
}

}  // namespace tidemill::http
