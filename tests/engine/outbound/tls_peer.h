#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace tidemill::outbound {

// A certificate and its key, signed by `issuer` or by itself.
struct Certificate {
  struct Wanted {
    std::string names;  // subjectAltName, as OpenSSL writes it: DNS:a.example,IP:127.0.0.1
    const Certificate* issuer = nullptr;
    bool authority = false;
    int from_s = -3'600, until_s = 3'600;
  };
  explicit Certificate(const Wanted& wanted) : key(EVP_EC_gen("P-256"), EVP_PKEY_free), x509(X509_new(), X509_free) {
    static std::atomic<long> serial{1};
    X509* c = x509.get();
    X509_set_version(c, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(c), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(c), wanted.from_s);
    X509_gmtime_adj(X509_getm_notAfter(c), wanted.until_s);
    const std::string name = wanted.authority ? "authority " + std::to_string(serial) : "host";
    X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_set_issuer_name(c, X509_get_subject_name(wanted.issuer ? wanted.issuer->x509.get() : c));
    X509_set_pubkey(c, key.get());
    const auto extend = [c](int nid, const std::string& value) {
      X509_EXTENSION* e = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
      EXPECT_NE(e, nullptr) << value;
      X509_add_ext(c, e, -1);
      X509_EXTENSION_free(e);
    };
    if (wanted.authority) extend(NID_basic_constraints, "critical,CA:TRUE");
    if (!wanted.names.empty()) extend(NID_subject_alt_name, wanted.names);
    X509_sign(c, (wanted.issuer ? wanted.issuer->key : key).get(), EVP_sha256());
  }
  void write(const std::string& path) const {
    FILE* file = std::fopen(path.c_str(), "w");
    PEM_write_X509(file, x509.get());
    std::fclose(file);
  }
  std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key;
  std::unique_ptr<X509, void (*)(X509*)> x509;
};

// A server on loopback that does to its clients what the test says, one after the other, on a thread of its own.
class Peer {
 public:
  // Sends; false: the client is gone.
  using Send = std::function<bool(std::string_view)>;
  struct Behaviour {
    const Certificate* certificate = nullptr;  // nullptr: without TLS
    int tls_max = 0;
    bool says_nothing = false;     // accepts, and that is all
    std::string instead_of_tls;    // the first bytes of what should be a handshake, and then nothing more
    bool ends_with_a_word = true;  // close_notify
    bool reads_body = true;        // else it answers to the head
    bool stays = false;            // after its answer, and reads no more
    bool ends_half = false;        // before it stays: it sends no more
    std::function<void(const Send&)> answer = [](const Send& send) {
      send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    };
  };
  explicit Peer(Behaviour behaviour) : behaviour_(std::move(behaviour)) {
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd_, 16), 0);
    socklen_t size = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~Peer() {
    stop_ = true;
    thread_.join();
    ::close(fd_);
  }
  std::uint16_t port() const { return port_; }
  int connections() const { return connections_; }
  std::string request() {  // the last one, as far as it was read
    const std::lock_guard lock(mutex_);
    return request_;
  }
  std::string sni() {
    const std::lock_guard lock(mutex_);
    return sni_;
  }

 private:
  void run() {
    sigset_t pipe;  // OpenSSL's socket raises it; in this thread only it does not matter
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    while (!stop_) {
      pollfd one{fd_, POLLIN, 0};
      if (::poll(&one, 1, 20) <= 0) continue;
      const int client = ::accept(fd_, nullptr, nullptr);
      ++connections_;
      timeval limit{5, 0};
      ::setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      ::setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
      // What was sent goes at once: a connection that is closed with something unread is reset, and what waited is
      // lost.
      const int yes = 1;
      ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
      serve(client);
      ::close(client);
    }
  }
  void serve(int client) {
    if (behaviour_.says_nothing) {
      while (!stop_) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      return;
    }
    if (!behaviour_.instead_of_tls.empty()) {
      char part[4096];
      ::recv(client, part, sizeof part, 0);
      ::send(client, behaviour_.instead_of_tls.data(), behaviour_.instead_of_tls.size(), MSG_NOSIGNAL);
      while (!stop_) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      return;
    }
    SSL_CTX* context = nullptr;
    SSL* ssl = nullptr;
    if (behaviour_.certificate) {
      context = SSL_CTX_new(TLS_server_method());
      SSL_CTX_set_security_level(context, 0);
      if (behaviour_.tls_max) SSL_CTX_set_max_proto_version(context, behaviour_.tls_max);
      SSL_CTX_use_certificate(context, behaviour_.certificate->x509.get());
      SSL_CTX_use_PrivateKey(context, behaviour_.certificate->key.get());
      ssl = SSL_new(context);
      SSL_set_fd(ssl, client);
    }
    if (!ssl || SSL_accept(ssl) == 1) {
      talk(client, ssl);
      if (ssl && behaviour_.ends_with_a_word) SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
  }
  void talk(int client, SSL* ssl) {
    std::string text;
    char part[4096];
    // All of it: closed with something unread, the connection would be reset, and the answer lost.
    const auto whole = [this, &text] {
      const std::size_t end = text.find("\r\n\r\n"), length = text.find("Content-Length: ");
      return end != text.npos && (!behaviour_.reads_body || length == text.npos ||
                                  text.size() >= end + 4 + std::stoul(text.substr(length + 16)));
    };
    while (!whole()) {
      const auto n = ssl ? SSL_read(ssl, part, sizeof part) : static_cast<int>(::recv(client, part, sizeof part, 0));
      if (n <= 0) break;
      text.append(part, static_cast<std::size_t>(n));
    }
    {
      const std::lock_guard lock(mutex_);
      request_ = text;
      const char* name = ssl ? SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) : nullptr;
      sni_ = name ? name : "";
    }
    behaviour_.answer([&](std::string_view bytes) {
      if (stop_) return false;
      const auto size = static_cast<int>(bytes.size());
      return (ssl ? SSL_write(ssl, bytes.data(), size)
                  : static_cast<int>(::send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL))) == size;
    });
    if (behaviour_.ends_half) {
      if (ssl) SSL_shutdown(ssl);
      ::shutdown(client, SHUT_WR);
    }
    while (behaviour_.stays && !stop_) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }

  const Behaviour behaviour_;
  int fd_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<int> connections_{0};
  std::mutex mutex_;
  std::string request_, sni_;
  std::thread thread_;
};

}  // namespace tidemill::outbound
