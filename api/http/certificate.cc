#include "api/http/certificate.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <climits>
#include <ctime>

#include "api/http/openssl.h"

namespace tidemill::http {
namespace {

constexpr std::size_t kSubjectMax = 255;

using OwnedStore = std::unique_ptr<X509_STORE, OpensslFree<X509_STORE_free>>;
using OwnedStoreCtx = std::unique_ptr<X509_STORE_CTX, OpensslFree<X509_STORE_CTX_free>>;

// Never asks a terminal.
int no_password(char*, int, int, void*) {
  return -1;
}

OwnedX509 first_certificate(std::string_view pem) {
  const OwnedBio from(pem.size() > INT_MAX ? nullptr : BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  OwnedX509 certificate(from ? PEM_read_bio_X509(from.get(), nullptr, no_password, nullptr) : nullptr);
  ERR_clear_error();
  return certificate;
}

// Its authority signed it with a digest (SHA-1, MD5) that TLS does not take at this level of security.
bool is_weakly_signed(const X509* certificate, int level) {
  constexpr int kBits[] = {0, 80, 112, 128, 192, 256};
  int bits = -1;
  return X509_get_signature_info(const_cast<X509*>(certificate), nullptr, nullptr, &bits, nullptr) == 1 &&
         bits < kBits[std::clamp(level, 0, 5)];
}

// What the handshake of a server says of it, once its authority is believed: X509_V_OK, or why it is refused.
int verdict_as_client(X509* certificate) {
  const OwnedSslCtx server(SSL_CTX_new(TLS_server_method()));
  const OwnedStore store(X509_STORE_new());
  const OwnedStoreCtx look(X509_STORE_CTX_new());
  if (!server || !store || !look || X509_STORE_add_cert(store.get(), certificate) != 1 ||
      X509_STORE_CTX_init(look.get(), store.get(), certificate, nullptr) != 1)
    return X509_V_ERR_OUT_OF_MEM;
  X509_STORE_CTX_set_default(look.get(), "ssl_client");
  X509_VERIFY_PARAM* const how = X509_STORE_CTX_get0_param(look.get());
  X509_VERIFY_PARAM_set_flags(how, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
  X509_VERIFY_PARAM_set_auth_level(how, SSL_CTX_get_security_level(server.get()));
  if (X509_verify_cert(look.get()) != 1) return X509_STORE_CTX_get_error(look.get());
  // Whoever is believed without an authority above needs no signature.
  const bool self_signed = (X509_get_extension_flags(certificate) & EXFLAG_SS) != 0;
  const int level = SSL_CTX_get_security_level(server.get());
  return !self_signed && is_weakly_signed(certificate, level) ? X509_V_ERR_CA_MD_TOO_WEAK : X509_V_OK;
}

}  // namespace

std::optional<PeerCertificate> peer_of(const X509* certificate) {
  PeerCertificate peer{fingerprint_of(certificate), subject_of(certificate), 0};
  std::tm end{};
  if (peer.sha256.empty() || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1) return std::nullopt;
  peer.expires_s = ::timegm(&end);
  // Backslash escapes what is not ASCII, so it can be cut anywhere.
  if (peer.subject.size() > kSubjectMax) peer.subject.resize(kSubjectMax);
  return peer;
}

std::string fingerprint_of(const X509* certificate) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest, &size) != 1) return {};
  constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    text += kHex[digest[i] >> 4];
    text += kHex[digest[i] & 15];
  }
  return text;
}

std::string subject_of(const X509* certificate) {
  const OwnedBio out(BIO_new(BIO_s_mem()));
  if (!out || X509_NAME_print_ex(out.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) < 0) return {};
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return size > 0 ? std::string(text, static_cast<std::size_t>(size)) : std::string();
}

std::optional<PeerCertificate> read_certificate(std::string_view pem, std::string& error) {
  if (pem.find("PRIVATE KEY-----") != std::string_view::npos) {
    error = "there is a private key in it: send the certificate alone, and keep the key where its owner reads it only";
    return std::nullopt;
  }
  const OwnedX509 certificate = first_certificate(pem);
  if (!certificate) {
    error = "it holds no certificate in PEM (-----BEGIN CERTIFICATE-----)";
    return std::nullopt;
  }
  auto peer = peer_of(certificate.get());
  if (!peer) error = "the certificate does not say until when it is good";
  return peer;
}

std::string unfit_for_client(std::string_view pem) {
  const OwnedX509 certificate = first_certificate(pem);
  if (!certificate) return "it holds no certificate in PEM";
  // OpenSSL would take it from whoever has the authority's key. It is bound by mistake: for all that it has signed.
  if ((X509_get_extension_flags(certificate.get()) & EXFLAG_CA) != 0)
    return "it is an authority's (basicConstraints CA:TRUE), and a certificate stands for itself alone, not for those "
           "that it has signed: name the client's own; one that a client signs itself is made with `openssl req -x509 "
           "-addext basicConstraints=critical,CA:FALSE`";
  const int verdict = verdict_as_client(certificate.get());
  ERR_clear_error();
  switch (verdict) {
    case X509_V_OK:
      return {};
    case X509_V_ERR_INVALID_PURPOSE:
      return "its key usage does not let it authenticate a client, so no handshake takes it: it needs "
             "extendedKeyUsage=clientAuth and, where it has a keyUsage, digitalSignature";
    case X509_V_ERR_EE_KEY_TOO_SMALL:
      return "its key is so short that no handshake takes it: make one of P-256, or of RSA with 2,048 bits or more";
    case X509_V_ERR_CA_MD_TOO_WEAK:
      return "it is signed with a digest so weak that no handshake takes it: have it signed with SHA-256";
    default:
      return std::string("no handshake takes it: ") + X509_verify_cert_error_string(verdict) +
             "; have it issued anew, with extendedKeyUsage=clientAuth";
  }
}

}  // namespace tidemill::http
