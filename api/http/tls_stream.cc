#include "api/http/tls_stream.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "api/http/openssl.h"

namespace tidemill::http {
namespace {

constexpr std::size_t kRecord = 16 << 10;  // the largest that TLS has

// Alerts that are about the certificate of whoever gets them.
bool is_about_certificate(unsigned long error, bool shown) {
  switch (ERR_GET_REASON(error)) {
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_SSLV3_ALERT_NO_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return true;
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:  // TLS 1.2, where one was wanted and none came; or no common suite
      return !shown;
    default:
      return false;
  }
}

}  // namespace

TlsStream::TlsStream(std::shared_ptr<const TlsContext> context, int socket) : context_(std::move(context)) {
  wire_.socket = socket;
  begin(context_->native());
  SSL_set_accept_state(ssl_);
}

TlsStream::TlsStream(std::shared_ptr<const TlsTrustContext> context, int socket, const std::string& host)
    : trust_(std::move(context)) {
  wire_.socket = socket;
  begin(trust_->native());
  SSL_set_connect_state(ssl_);
  // A certificate is good for the name, or for the address, that was asked for.
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), host.c_str()) != 1) {
    SSL_set1_host(ssl_, host.c_str());
    SSL_set_tlsext_host_name(ssl_, host.c_str());
  }
}

void TlsStream::begin(ssl_ctx_st* context) {
  ssl_ = SSL_new(context);
  BIO* bio = ssl_ ? new_wire_bio(wire_) : nullptr;
  if (!bio) {
    SSL_free(ssl_);
    throw std::bad_alloc();
  }
  SSL_set_bio(ssl_, bio, bio);
}

TlsStream::~TlsStream() {
  SSL_free(ssl_);
}

TlsStream::State TlsStream::state_of(int result) {
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_NONE:
      return State::done;
    case SSL_ERROR_WANT_READ:
      return State::readable;
    case SSL_ERROR_WANT_WRITE:
      return State::writable;
    case SSL_ERROR_ZERO_RETURN:
      return State::closed;
    default:
      broken_ = true;
      if (const long verified = SSL_get_verify_result(ssl_); is_distrusted()) {
        why_ = X509_verify_cert_error_string(verified);
        ERR_clear_error();
      } else {
        refused_ = is_about_certificate(ERR_peek_last_error(), SSL_get_certificate(ssl_) != nullptr);
        why_ = ERR_peek_last_error() != 0 ? openssl_reason() : "the connection was cut off";
      }
      return State::failed;
  }
}

TlsStream::State TlsStream::handshake() {
  wire_.empty = false;
  ERR_clear_error();
  const State state = state_of(SSL_do_handshake(ssl_));
  if (state != State::done) return state == State::closed ? State::failed : state;
  ready_ = true;
  if (const X509* shown = SSL_get0_peer_certificate(ssl_)) peer_ = peer_of(shown);
  return state;
}

TlsStream::Moved TlsStream::read(char* into, std::size_t room) {
  wire_.empty = false;
  Moved moved;
  while (moved.bytes < room && moved.state == State::done) {
    ERR_clear_error();
    std::size_t n = 0;
    moved.state = state_of(SSL_read_ex(ssl_, into + moved.bytes, room - moved.bytes, &n));
    moved.bytes += n;
  }
  return moved;
}

TlsStream::Moved TlsStream::write(const iovec* pieces, std::size_t count) {
  // Small pieces go together into one record; a large one is not copied.
  static thread_local char together[kRecord];
  const char* from = static_cast<const char*>(pieces[0].iov_base);
  std::size_t size = std::min(kRecord, pieces[0].iov_len);
  if (count > 1 && size < kRecord) {
    size = 0;
    for (std::size_t i = 0; i < count && size < kRecord; ++i) {
      const std::size_t n = std::min(kRecord - size, pieces[i].iov_len);
      std::memcpy(together + size, pieces[i].iov_base, n);
      size += n;
    }
    from = together;
  }
  ERR_clear_error();
  Moved moved;
  moved.state = state_of(SSL_write_ex(ssl_, from, size, &moved.bytes));
  if (from == together) OPENSSL_cleanse(together, size);  // an answer may be a key
  return moved;
}

void TlsStream::close_notify() {
  if (!ready_ || broken_) return;
  ERR_clear_error();
  SSL_shutdown(ssl_);
  ERR_clear_error();
}

bool TlsStream::is_13() const {
  return SSL_version(ssl_) == TLS1_3_VERSION;
}

bool TlsStream::is_distrusted() const {
  // Where nobody verifies (a pinned certificate), there is a result all the same.
  return SSL_get_verify_mode(ssl_) != SSL_VERIFY_NONE && SSL_get_verify_result(ssl_) != X509_V_OK;
}

bool TlsStream::resumed() const {
  return SSL_session_reused(ssl_) == 1;
}

}  // namespace tidemill::http
