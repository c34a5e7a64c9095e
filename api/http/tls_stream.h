#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "api/http/peer.h"
#include "api/http/tls_context.h"
#include "api/http/tls_trust.h"
#include "api/http/tls_wire.h"

struct ssl_st;

namespace tidemill::http {

// The TLS of one connection, over its non-blocking socket: a call does what it can at once and says what to wait for.
// Owned by the connection, on its thread. Does not close the socket, which must outlive it.
class TlsStream {
 public:
  TlsStream(std::shared_ptr<const TlsContext> context, int socket);  // the server's side
  // A client's side; `host` is the name or address that the certificate must be for.
  TlsStream(std::shared_ptr<const TlsTrustContext> context, int socket, const std::string& host);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  enum class State {
    done,      // and there may be more to do at once
    readable,  // wait until the socket gives something
    writable,  // wait until it takes something
    closed,    // the other side has said that it sends no more
    failed,    // broken, or cut off without a word: nothing more goes through
  };
  struct Moved {
    std::size_t bytes = 0;  // of HTTP, not of TLS
    State state = State::done;
  };

  State handshake();
  Moved read(char* into, std::size_t room);
  // One record (16 KiB) at most of what the pieces hold together. What it did not take must be offered again first.
  Moved write(const iovec* pieces, std::size_t count);
  // Tells the other side, as well as the socket takes it, that this was all.
  void close_notify();

  // After the handshake:
  bool is_13() const;
  bool resumed() const;
  const PeerCertificate* peer() const { return peer_ ? &*peer_ : nullptr; }
  // After a handshake that failed: was it that the other side spoke HTTP without TLS?
  bool spoke_plain() const { return wire_.first >= 'A' && wire_.first <= 'Z'; }

  // A client's handshake failed because it does not believe the server's certificate.
  bool is_distrusted() const;
  // Of a client: the server does not take its certificate, or wants one. With TLS 1.3 that comes after the handshake.
  bool is_refused() const { return refused_; }
  const std::string& why() const { return why_; }  // once it has failed

 private:
  void begin(ssl_ctx_st* context);
  State state_of(int result);

  std::shared_ptr<const TlsContext> context_;  // one of these two
  std::shared_ptr<const TlsTrustContext> trust_;
  TlsWire wire_;
  ssl_st* ssl_ = nullptr;
  bool ready_ = false;
  bool broken_ = false;
  bool refused_ = false;
  std::string why_;
  std::optional<PeerCertificate> peer_;
};

}  // namespace tidemill::http
