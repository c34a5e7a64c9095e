#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <boost/asio/ip/address.hpp>

#include "api/http/openssl.h"
#include "api/http/tls_context.h"

namespace tidemill::http {
namespace {

constexpr long kGoodFor = 365L * 24 * 3600;

bool add_extension(X509* to, int what, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, to, to, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, OpensslFree<X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str()));
  return extension && X509_add_ext(to, extension.get(), -1) == 1;
}

std::string text_of(BIO* from) {
  char* text = nullptr;
  const long size = BIO_get_mem_data(from, &text);
  return size > 0 ? std::string(text, static_cast<std::size_t>(size)) : std::string();
}

bool make(const std::string& names, TlsMaterial& material) {
  const OwnedKey key(EVP_EC_gen("P-256"));
  const OwnedX509 certificate(X509_new());
  if (!key || !certificate) return false;
  X509* c = certificate.get();
  // Browsers take a second certificate of one issuer and serial for a forgery: each has its own.
  unsigned char serial[8];
  if (RAND_bytes(serial, sizeof serial) != 1) return false;
  std::uint64_t number = 0;
  for (const unsigned char byte : serial) number = number << 8 | byte;
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(c), number >> 1 | 1);
  X509_set_version(c, X509_VERSION_3);
  constexpr long kClocksDiffer = 3600;
  X509_gmtime_adj(X509_getm_notBefore(c), -kClocksDiffer);
  X509_gmtime_adj(X509_getm_notAfter(c), kGoodFor);
  X509_NAME* name = X509_get_subject_name(c);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("Tidemill self-signed"),
                             -1, -1, 0);
  const OwnedBio certificate_text(BIO_new(BIO_s_mem()));
  const OwnedBio key_text(BIO_new(BIO_s_mem()));
  const bool made = X509_set_issuer_name(c, name) == 1 && X509_set_pubkey(c, key.get()) == 1 &&
                    add_extension(c, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                    add_extension(c, NID_key_usage, "critical,digitalSignature,keyCertSign") &&
                    add_extension(c, NID_ext_key_usage, "serverAuth") &&
                    add_extension(c, NID_subject_key_identifier, "hash") &&
                    add_extension(c, NID_subject_alt_name, names) && X509_sign(c, key.get(), EVP_sha256()) > 0 &&
                    PEM_write_bio_X509(certificate_text.get(), c) == 1 &&
                    PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1;
  if (!made) return false;
  material.certificate = text_of(certificate_text.get());
  material.key = text_of(key_text.get());
  return true;
}

}  // namespace

TlsMaterial self_signed(const std::string& host, std::string& error) {
  std::string names = "DNS:localhost,IP:127.0.0.1,IP:::1";
  boost::system::error_code ec;
  const auto address = boost::asio::ip::make_address(host, ec);
  const bool plain_name = host.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") ==
                          std::string::npos;  // the list of names has a grammar of its own
  if (!ec && !address.is_unspecified() && host != "127.0.0.1" && host != "::1") names += ",IP:" + host;
  if (ec && !host.empty() && host != "localhost" && plain_name) names += ",DNS:" + host;
  TlsMaterial material;
  ERR_clear_error();
  if (!make(names, material)) error = "OpenSSL makes no certificate: " + openssl_reason();
  return material;
}

}  // namespace tidemill::http
