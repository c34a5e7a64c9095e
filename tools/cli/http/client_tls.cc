// HttpClient's way through TLS.
#include <poll.h>
#include <sys/socket.h>

#include "api/http/tls_stream.h"
#include "tools/cli/http/client.h"

namespace tidemill::cli {
namespace {

using Kind = HttpFailure::Kind;
using State = http::TlsStream::State;

short events_of(State state) {
  return state == State::writable ? POLLOUT : POLLIN;
}

// Of a connection that has failed.
std::string reason_of(const http::TlsStream& tls, const http::TlsTrust& shown) {
  if (!tls.is_refused()) return tls.why();
  return shown.certificate_file.empty()
             ? tls.why() +
                   "; if the server wants a client's certificate, --cert-file and --cert-key-file (or "
                   "TIDEMILL_CERT_FILE and TIDEMILL_CERT_KEY_FILE) show one"
             : tls.why() + "; the server does not take " + shown.certificate_file +
                   ": it must be of an authority that its server.tls_client_ca names, for clients, and not expired";
}

}  // namespace

bool HttpClient::handshake(HttpFailure& failure) {
  std::string error;
  if (!trust_) trust_ = http::TlsTrustContext::make(url_.trust, error);
  if (!trust_) {
    fail(failure, Kind::not_trusted, error);
    close();
    return false;
  }
  tls_ = std::make_unique<http::TlsStream>(trust_, socket_, url_.host);
  State state;
  while ((state = tls_->handshake()) != State::done && state != State::failed) {
    if (wait(events_of(state), options_.connect_timeout, failure)) continue;
    if (failure.kind == Kind::timed_out) failure.kind = Kind::not_connected;
    close();
    return false;
  }
  if (state == State::failed) {
    std::string why = "no TLS connection: " + reason_of(*tls_, url_.trust);
    const bool distrusted = tls_->is_distrusted();
    if (tls_->spoke_plain()) why = "what answers there does not speak TLS: use http://";
    if (distrusted)
      why += "; --ca-file (or TIDEMILL_CA_FILE) names the authority to believe, --tls-fingerprint a single certificate";
    const bool passing = !distrusted && !tls_->spoke_plain() && !tls_->is_refused();
    fail(failure, passing ? Kind::no_tls : Kind::not_trusted, why);
    close();
    return false;
  }
  const http::PeerCertificate* shown = tls_->peer();
  if (!shown || !trust_->is_pinned(shown->sha256)) {
    fail(failure, Kind::not_trusted,
         "the server shows another certificate than --tls-fingerprint (or TIDEMILL_TLS_FINGERPRINT) names: " +
             (shown ? "sha256:" + shown->sha256 : std::string("none")) +
             "; this may be another server in its place. Nothing was sent to it. Take the new fingerprint only if who "
             "runs the server knows it: `serve --tls-self-signed` makes a new certificate at each start and logs it");
    close();
    return false;
  }
  return true;
}

bool HttpClient::write_all_tls(std::string_view text, HttpFailure& failure) {
  while (!text.empty()) {
    const iovec piece{const_cast<char*>(text.data()), text.size()};
    const http::TlsStream::Moved moved = tls_->write(&piece, 1);
    text.remove_prefix(moved.bytes);
    if (moved.state == State::done) continue;
    if (moved.state == State::closed || moved.state == State::failed) {
      fail(failure, tls_->is_refused() ? Kind::not_trusted : Kind::lost,
           "the connection broke while sending: " + reason_of(*tls_, url_.trust));
      return false;
    }
    if (!wait(events_of(moved.state), options_.answer_timeout, failure)) return false;
  }
  return true;
}

bool HttpClient::fill_tls(HttpFailure& failure) {
  while (true) {
    char piece[64 << 10];
    const http::TlsStream::Moved moved = tls_->read(piece, sizeof piece);
    if (moved.bytes > 0) {
      buffer_.append(piece, moved.bytes);
      return true;
    }
    if (moved.state == State::closed) {
      ended_ = true;
      fail(failure, Kind::lost, "the server closed the connection");
      return false;
    }
    if (moved.state == State::failed) {  // also an end without a word, which an attacker can make
      fail(failure, tls_->is_refused() ? Kind::not_trusted : Kind::lost,
           "the connection broke: " + reason_of(*tls_, url_.trust));
      return false;
    }
    if (!wait(events_of(moved.state), options_.answer_timeout, failure)) return false;
  }
}

}  // namespace tidemill::cli
