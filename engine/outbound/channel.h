#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "engine/outbound/network.h"

struct ssl_ctx_st;

namespace tidemill::outbound {

// Whom to believe, ready for connections: TLS 1.2 with forward secrecy and AEAD, and 1.3; the certificate is always
// verified. Never changes. Any thread.
class Trust {
 public:
  // nullptr: `error` is a sentence. Reads files: blocks. `ca_file` empty: the system's authorities.
  static std::shared_ptr<const Trust> make(const std::string& ca_file, std::string& error);
  virtual ~Trust() = default;
  virtual ssl_ctx_st* native() const = 0;
};

// One connection, with TLS or without. Blocks, never past the deadline; one thread at a time. Owns the socket.
class Channel {
 public:
  static std::unique_ptr<Channel> plain(int socket, Deadline deadline);
  // `host`: the name, or the address, that the certificate must be for; a name is sent as SNI.
  // OutboundErrc::not_trusted, tls_failed, cut_off, timed_out.
  static Result<std::unique_ptr<Channel>> secure(int socket, Deadline deadline, const Trust& trust,
                                                 const std::string& host, bool is_address);
  virtual ~Channel() = default;
  // What comes while a write waits: who refuses a request early replies before having read all of it, and may never
  // read the rest. True: no more need be written.
  using Early = std::function<Result<bool>(std::string_view)>;
  // True: all of it went; false: `early` has had enough. OutboundErrc::cut_off: it did not go; there may be something
  // to read all the same.
  virtual Result<bool> write(std::string_view bytes, const Early& early) = 0;
  // Some bytes; 0: the other side has said that this was all. OutboundErrc::cut_off: it went without a word.
  virtual Result<std::size_t> read(char* into, std::size_t room) = 0;
};

}  // namespace tidemill::outbound
