#include "engine/outbound/channel.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

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
      error = ca_file.empty() ? "the system's authorities cannot be loaded"
                              : ca_file + " holds no certificate in PEM, or cannot be read";
      return false;
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

  // As much as goes at once; 0: nothing now.
  Result<std::size_t> send(std::string_view bytes) {
    for (;;) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n >= 0) return static_cast<std::size_t>(n);
      if (errno == EAGAIN) return std::size_t{0};
      if (errno != EINTR) return OutboundErrc::cut_off;
    }
  }
  // What is there; nullopt: nothing now. 0: the other side has ended its half.
  Result<std::optional<std::size_t>> receive(char* into, std::size_t room) {
    for (;;) {
      // Also where there is always more: whoever sends without end is not read without end.
      if (std::chrono::steady_clock::now() >= deadline_) return OutboundErrc::timed_out;
      const ssize_t n = ::recv(fd_, into, room, 0);
      if (n >= 0) return std::optional(static_cast<std::size_t>(n));
      if (errno == EAGAIN) return std::optional<std::size_t>();
      if (errno != EINTR) return OutboundErrc::cut_off;
    }
  }
  Result<std::size_t> read(char* into, std::size_t room) {
    for (;;) {
      ASSIGN_OR_RETURN(const std::optional<std::size_t> n, receive(into, room));
      if (n) return *n;
      RETURN_IF_ERROR(wait_for(fd_, {.readable = true}, deadline_));
    }
  }
  // Sends all, and while that has to wait hands what comes to `take`, until that says true (false is returned).
  // cut_off, too, where the other side has ended its half: it will not reply to what it has not read yet.
  template <class Take>
  Result<bool> write(std::string_view bytes, const Take& take) {
    while (!bytes.empty()) {
      ASSIGN_OR_RETURN(const std::size_t n, send(bytes));
      bytes.remove_prefix(n);
      if (n != 0) continue;
      ASSIGN_OR_RETURN(const Ready ready, wait_for(fd_, {.readable = true, .writable = true}, deadline_));
      if (!ready.readable) continue;
      char part[16 << 10];
      ASSIGN_OR_RETURN(const std::optional<std::size_t> came, receive(part, sizeof part));
      if (!came) continue;
      if (*came == 0) return OutboundErrc::cut_off;
      ASSIGN_OR_RETURN(const bool enough, take({part, *came}));
      if (enough) return false;
    }
    return true;
  }

 private:
  const int fd_;
  const Deadline deadline_;
};

class PlainChannel final : public Channel {
 public:
  PlainChannel(int fd, Deadline deadline) : socket_(fd, deadline) {}
  Result<bool> write(std::string_view bytes, const Early& early) override { return socket_.write(bytes, early); }
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
  Result<bool> write(std::string_view bytes, const Early& early) override {
    while (!bytes.empty()) {
      ERR_clear_error();
      std::size_t n = 0;
      // Into memory, so it never waits; what it makes goes now, and so does an alert.
      const int result = SSL_write_ex(ssl_.get(), bytes.data(), std::min(bytes.size(), kPart), &n);
      if (result != 1) return error_of(SSL_get_error(ssl_.get(), result));
      bytes.remove_prefix(n);
      ASSIGN_OR_RETURN(const bool all, send([&](std::string_view came) { return take_early(came, early); }));
      if (!all) return false;
    }
    return true;
  }
  Result<std::size_t> read(char* into, std::size_t room) override {
    std::size_t n = 0;
    ASSIGN_OR_RETURN(const bool more, drive([&] { return SSL_read_ex(ssl_.get(), into, room, &n); }));
    return more ? n : 0;
  }

 private:
  static constexpr std::size_t kPart = 16 << 10;

  OutboundErrc error_of(int why) {
    if (why == SSL_ERROR_ZERO_RETURN) return OutboundErrc::cut_off;
    const bool trusted = SSL_get_verify_result(ssl_.get()) == X509_V_OK;
    ERR_clear_error();
    return trusted ? OutboundErrc::tls_failed : OutboundErrc::not_trusted;
  }
  bool arrived(std::string_view bytes) {
    return BIO_write(in_, bytes.data(), static_cast<int>(bytes.size())) == static_cast<int>(bytes.size());
  }
  // What came while a write waits: session tickets, and perhaps a reply.
  Result<bool> take_early(std::string_view bytes, const Early& early) {
    if (!arrived(bytes)) return OutboundErrc::tls_failed;
    for (char part[kPart];;) {
      ERR_clear_error();
      std::size_t n = 0;
      const int result = SSL_read_ex(ssl_.get(), part, sizeof part, &n);
      if (result != 1) {
        const int why = SSL_get_error(ssl_.get(), result);
        if (why == SSL_ERROR_WANT_READ) return false;
        return error_of(why);  // of its goodbye: cut_off
      }
      ASSIGN_OR_RETURN(const bool enough, early({part, n}));
      if (enough) return true;
    }
  }
  // Until `step` has succeeded; false: the other side has said that it sends no more.
  template <class Step>
  Result<bool> drive(Step step) {
    for (;;) {
      ERR_clear_error();
      const int result = step();
      const int why = SSL_get_error(ssl_.get(), result);
      // An alert, too. Where nothing goes out any more something may still be there to be read.
      const Result<bool> sent = send([this](std::string_view came) -> Result<bool> {
        if (!arrived(came)) return OutboundErrc::tls_failed;
        return false;
      });
      if (!sent && sent.error() != OutboundErrc::cut_off) return sent.error();
      if (why == SSL_ERROR_NONE) return true;
      if (why == SSL_ERROR_ZERO_RETURN) return false;
      if (why != SSL_ERROR_WANT_READ) return error_of(why);
      char part[kPart];
      ASSIGN_OR_RETURN(const std::size_t n, socket_.read(part, sizeof part));
      if (n == 0) return OutboundErrc::cut_off;
      if (!arrived({part, n})) return OutboundErrc::tls_failed;
    }
  }
  // All that OpenSSL has made. Once that has failed nothing more is sent.
  template <class Take>
  Result<bool> send(const Take& take) {
    char part[kPart];
    for (int n; (n = BIO_read(out_, part, sizeof part)) > 0;) {
      if (deaf_) continue;
      const Result<bool> all = socket_.write({part, static_cast<std::size_t>(n)}, take);
      if (!all) deaf_ = true;
      if (!all || !*all) return all;
    }
    if (deaf_) return OutboundErrc::cut_off;
    return true;
  }

  Socket socket_;
  std::unique_ptr<SSL, FreeSsl> ssl_;  // owns the two
  BIO* in_ = nullptr;
  BIO* out_ = nullptr;
  bool deaf_ = false;  // the other side takes nothing more
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
