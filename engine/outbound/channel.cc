#include "engine/outbound/channel.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace tidemill::outbound {
namespace {

struct FreeContext {
  void operator()(SSL_CTX* c) const { SSL_CTX_free(c); }
};
struct FreeSsl {
  void operator()(SSL* s) const { SSL_free(s); }
};

class TrustImpl final : public Trust {
 public:
  bool take(const std::string& ca_file, std::string& error) {
    ERR_clear_error();
    context_.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX* c = context_.get();
    if (c == nullptr || SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(c, "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL") != 1)
      return error = "OpenSSL gives no context", false;
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    static constexpr unsigned char kProtocol[] = "\x08http/1.1";
    SSL_CTX_set_alpn_protos(c, kProtocol, sizeof kProtocol - 1);
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER, nullptr);
    if (ca_file.empty() ? SSL_CTX_set_default_verify_paths(c) != 1
                        : SSL_CTX_load_verify_file(c, ca_file.c_str()) != 1) {
      ERR_clear_error();
      return error = ca_file + " holds no certificate in PEM, or cannot be read", false;
    }
    return true;
  }
  ssl_ctx_st* native() const override { return context_.get(); }

 private:
  std::unique_ptr<SSL_CTX, FreeContext> context_;
};

class Socket {
 public:
  Socket(int fd, Deadline deadline) : fd_(fd), deadline_(deadline) {}
  ~Socket() { ::close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  Result<void> write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(n));
      } else if (errno == EAGAIN) {
        RETURN_IF_ERROR(wait_for(fd_, true, deadline_));
      } else if (errno != EINTR) {
        return OutboundErrc::cut_off;
      }
    }
    return {};
  }
  Result<std::size_t> read(char* into, std::size_t room) {
    for (;;) {
      // Also where there is always more: whoever sends without end is not read without end.
      if (std::chrono::steady_clock::now() >= deadline_) return OutboundErrc::timed_out;
      const ssize_t n = ::recv(fd_, into, room, 0);
      if (n >= 0) return static_cast<std::size_t>(n);
      if (errno == EAGAIN) {
        RETURN_IF_ERROR(wait_for(fd_, false, deadline_));
      } else if (errno != EINTR) {
        return OutboundErrc::cut_off;
      }
    }
  }

 private:
  const int fd_;
  const Deadline deadline_;
};

class PlainChannel final : public Channel {
 public:
  PlainChannel(int fd, Deadline deadline) : socket_(fd, deadline) {}
  Result<void> write(std::string_view bytes) override { return socket_.write(bytes); }
  Result<std::size_t> read(char* into, std::size_t room) override { return socket_.read(into, room); }

 private:
  Socket socket_;
};

// OpenSSL over two buffers in memory: its own BIO for sockets raises SIGPIPE.
class TlsChannel final : public Channel {
 public:
  TlsChannel(int fd, Deadline deadline, const Trust& trust) : socket_(fd, deadline), ssl_(SSL_new(trust.native())) {
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    if (ssl_) SSL_set_bio(ssl_.get(), in_, out_);
  }

  Result<void> handshake(const std::string& host, bool is_address) {
    if (!ssl_) return OutboundErrc::tls_failed;
    SSL* s = ssl_.get();
    if (is_address) {
      if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(s), host.c_str()) != 1) return OutboundErrc::tls_failed;
    } else {
      // `*` stands for one whole label, as browsers have it.
      SSL_set_hostflags(s, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
      if (SSL_set1_host(s, host.c_str()) != 1 || SSL_set_tlsext_host_name(s, host.c_str()) != 1)
        return OutboundErrc::tls_failed;
    }
    SSL_set_connect_state(s);
    // Who takes leave in the middle of it has not made one.
    ASSIGN_OR_RETURN(const bool made, drive([s] { return SSL_do_handshake(s); }));
    if (!made) return OutboundErrc::tls_failed;
    return {};
  }
  Result<void> write(std::string_view bytes) override {
    while (!bytes.empty()) {
      std::size_t n = 0;
      ASSIGN_OR_RETURN(const bool done, drive([&] {
                         return SSL_write_ex(ssl_.get(), bytes.data(), std::min(bytes.size(), kPart), &n);
                       }));
      if (!done) return OutboundErrc::cut_off;
      bytes.remove_prefix(n);
    }
    return {};
  }
  Result<std::size_t> read(char* into, std::size_t room) override {
    std::size_t n = 0;
    ASSIGN_OR_RETURN(const bool more, drive([&] { return SSL_read_ex(ssl_.get(), into, room, &n); }));
    return more ? n : 0;
  }

 private:
  static constexpr std::size_t kPart = 16 << 10;

  // Until `step` has succeeded; false: the other side has said that it sends no more.
  template <class Step>
  Result<bool> drive(Step step) {
    for (;;) {
      ERR_clear_error();
      const int result = step();
      const int why = SSL_get_error(ssl_.get(), result);
      const Result<void> sent = send();  // an alert, too
      if (why == SSL_ERROR_NONE) {
        RETURN_IF_ERROR(sent);
        return true;
      }
      if (why == SSL_ERROR_ZERO_RETURN) return false;
      if (why != SSL_ERROR_WANT_READ) {
        const bool trusted = SSL_get_verify_result(ssl_.get()) == X509_V_OK;
        ERR_clear_error();
        return trusted ? OutboundErrc::tls_failed : OutboundErrc::not_trusted;
      }
      RETURN_IF_ERROR(sent);
      char part[kPart];
      ASSIGN_OR_RETURN(const std::size_t n, socket_.read(part, sizeof part));
      if (n == 0) return OutboundErrc::cut_off;
      if (BIO_write(in_, part, static_cast<int>(n)) != static_cast<int>(n)) return OutboundErrc::tls_failed;
    }
  }
  Result<void> send() {
    char part[kPart];
    for (int n; (n = BIO_read(out_, part, sizeof part)) > 0;)
      RETURN_IF_ERROR(socket_.write({part, static_cast<std::size_t>(n)}));
    return {};
  }

  Socket socket_;
  std::unique_ptr<SSL, FreeSsl> ssl_;  // owns the two
  BIO* in_ = nullptr;
  BIO* out_ = nullptr;
};

}  // namespace

std::shared_ptr<const Trust> Trust::make(const std::string& ca_file, std::string& error) {
  auto trust = std::make_shared<TrustImpl>();
  if (!trust->take(ca_file, error)) return nullptr;
  return trust;
}

std::unique_ptr<Channel> Channel::plain(int socket, Deadline deadline) {
  return std::make_unique<PlainChannel>(socket, deadline);
}

Result<std::unique_ptr<Channel>> Channel::secure(int socket, Deadline deadline, const Trust& trust,
                                                 const std::string& host, bool is_address) {
  auto channel = std::make_unique<TlsChannel>(socket, deadline, trust);
  RETURN_IF_ERROR(channel->handshake(host, is_address));
  return std::unique_ptr<Channel>(std::move(channel));
}

}  // namespace tidemill::outbound
