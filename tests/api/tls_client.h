#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/http/openssl.h"
#include "api/http/tls_context.h"
#include "api/server.h"

namespace tidemill {

inline http::TlsMaterial server_material() {
  std::string error;
  auto material = http::self_signed("localhost", error);
  EXPECT_EQ(error, "");
  return material;
}
// One that believes these authorities of clients, in PEM.
inline http::TlsMaterial server_material(const std::string& client_ca, http::ClientCertificates clients) {
  auto material = server_material();
  material.client_ca = client_ca;
  material.clients = clients;
  return material;
}
inline std::shared_ptr<const http::TlsContext> context_of(const http::TlsMaterial& material) {
  std::string error;
  auto context = http::TlsContext::make(material, error);
  EXPECT_EQ(error, "");
  return context;
}

inline ApiOptions with_tls(const http::TlsMaterial& material = server_material()) {
  ApiOptions options;
  options.tls = context_of(material);
  return options;
}

// A client's certificate that is its own authority, unless it says of another that it has signed it.
struct ClientCertificate {
  struct Wanted {
    std::vector<std::pair<int, const char*>> extensions;  // NID and what X509V3_EXT_conf_nid() takes
    unsigned rsa_bits = 0;                                // 0: P-256
    const char* issuer = nullptr;
    const EVP_MD* digest = EVP_sha256();
  };
  explicit ClientCertificate(const char* name) : ClientCertificate(name, Wanted()) {}
  ClientCertificate(const char* name, const Wanted& wanted)
      : key(wanted.rsa_bits ? EVP_RSA_gen(wanted.rsa_bits) : EVP_EC_gen("P-256")), certificate(X509_new()) {
    X509* c = certificate.get();
    X509_set_version(c, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(c), 7);
    X509_gmtime_adj(X509_getm_notBefore(c), -60);
    X509_gmtime_adj(X509_getm_notAfter(c), 3600);
    X509_NAME* subject = X509_get_subject_name(c);
    X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("Example"), -1, -1,
                               0);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
    X509_set_issuer_name(c, subject);
    if (wanted.issuer)
      X509_NAME_add_entry_by_txt(X509_get_issuer_name(c), "CN", MBSTRING_ASC,
                                 reinterpret_cast<const unsigned char*>(wanted.issuer), -1, -1, 0);
    X509_set_pubkey(c, key.get());
    for (const auto& [nid, value] : wanted.extensions) {
      X509_EXTENSION* const e = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
      EXPECT_NE(e, nullptr) << value;
      X509_add_ext(c, e, -1);
      X509_EXTENSION_free(e);
    }
    EXPECT_GT(X509_sign(c, key.get(), wanted.digest), 0);
  }
  std::string pem() const {
    const http::OwnedBio out(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(out.get(), certificate.get());
    char* text = nullptr;
    const long size = BIO_get_mem_data(out.get(), &text);
    return {text, static_cast<std::size_t>(size)};
  }
  http::OwnedKey key;
  http::OwnedX509 certificate;
};

struct TlsClientOptions {
  int version = 0;  // the only one to be spoken; 0: whatever is best
  const char* suites_12 = nullptr;
  std::string_view protocols;  // of ALPN, as on the wire
  const ClientCertificate* certificate = nullptr;
  SSL_SESSION* resume = nullptr;
  int receive_bytes = 0;
};

// OpenSSL's own client, blocking. It believes every server: whom the program's client believes, http_client_test sees.
class TlsClient {
 public:
  explicit TlsClient(std::uint16_t port, const TlsClientOptions& options = {})
      : context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX* c = context_.get();
    SSL_CTX_set_security_level(c, 0);  // what the server refuses is the server's doing
    if (options.version) {
      SSL_CTX_set_min_proto_version(c, options.version);
      SSL_CTX_set_max_proto_version(c, options.version);
    }
    if (options.suites_12) {
      EXPECT_EQ(SSL_CTX_set_cipher_list(c, options.suites_12), 1);
    }
    if (options.certificate) {
      SSL_CTX_use_certificate(c, options.certificate->certificate.get());
      SSL_CTX_use_PrivateKey(c, options.certificate->key.get());
    }
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_CLIENT);
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    if (options.receive_bytes)
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &options.receive_bytes, sizeof options.receive_bytes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    timeval limit{20, 0};  // so that a test that waits for nothing fails
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ssl_.reset(SSL_new(c));
    SSL_set_fd(ssl_.get(), fd_);
    if (!options.protocols.empty())
      SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(options.protocols.data()),
                          static_cast<unsigned>(options.protocols.size()));
    if (options.resume) SSL_set_session(ssl_.get(), options.resume);
    ERR_clear_error();
    connected_ = SSL_connect(ssl_.get()) == 1;
  }
  ~TlsClient() {
    ssl_.reset();
    ::close(fd_);
  }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  bool connected() const { return connected_; }
  bool send(std::string_view bytes) {
    return SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) == static_cast<int>(bytes.size());
  }
  void end() { SSL_shutdown(ssl_.get()); }  // close_notify
  void cut() { ::shutdown(fd_, SHUT_WR); }  // an end without a word
  bool more() {
    char part[65536];
    last_ = SSL_read(ssl_.get(), part, sizeof part);
    if (last_ <= 0) return false;
    in_.append(part, static_cast<std::size_t>(last_));
    return true;
  }
  const std::string& unread() const { return in_; }
  bool ended_in_order() const { return SSL_get_error(ssl_.get(), last_) == SSL_ERROR_ZERO_RETURN; }
  std::string until(std::string_view mark) {
    std::size_t at;
    while ((at = in_.find(mark)) == std::string::npos) {
      if (!more()) return {};
    }
    std::string text = in_.substr(0, at + mark.size());
    in_.erase(0, at + mark.size());
    return text;
  }
  // The status of the next answer, and its body; 0 when there is none.
  int answer(std::string* body = nullptr) {
    const std::string head = until("\r\n\r\n");
    if (head.empty()) return 0;
    const std::size_t at = head.find("Content-Length: ");
    if (at != std::string::npos) {
      const std::size_t length = std::stoul(head.substr(at + 16));
      while (in_.size() < length && more()) {
      }
      if (in_.size() < length) return 0;
      if (body) *body = in_.substr(0, length);
      in_.erase(0, length);
    }
    closes_ = head.find("Connection: close") != std::string::npos;
    return std::stoi(head.substr(9, 3));
  }
  bool said_close() const { return closes_; }
  std::string server_fingerprint() const { return http::fingerprint_of(SSL_get0_peer_certificate(ssl_.get())); }
  SSL* native() { return ssl_.get(); }

 private:
  http::OwnedSslCtx context_;
  http::OwnedSsl ssl_;
  int fd_ = -1;
  int last_ = 1;
  bool connected_ = false;
  bool closes_ = false;
  std::string in_;
};

}  // namespace tidemill
