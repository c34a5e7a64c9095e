#include "api/http/certificate.h"

#include <openssl/pem.h>

#include <climits>
#include <ctime>

#include "api/http/openssl.h"

namespace tidemill::http {
namespace {

constexpr std::size_t kSubjectMax = 255;

// Never asks a terminal.
int no_password(char*, int, int, void*) {
  return -1;
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
  const OwnedBio from(pem.size() > INT_MAX ? nullptr : BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const OwnedX509 certificate(from ? PEM_read_bio_X509(from.get(), nullptr, no_password, nullptr) : nullptr);
  ERR_clear_error();
  if (!certificate) {
    error = "it holds no certificate in PEM (-----BEGIN CERTIFICATE-----)";
    return std::nullopt;
  }
  auto peer = peer_of(certificate.get());
  if (!peer) error = "the certificate does not say until when it is good";
  return peer;
}

}  // namespace tidemill::http
