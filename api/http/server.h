#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "api/http/limits.h"
#include "api/http/loop.h"
#include "api/http/message.h"
#include "api/http/metrics.h"
#include "api/http/responder.h"
#include "api/http/tls_context.h"
#include "storage/base/result.h"

namespace tidemill::http {

struct ServerOptions {
  std::string host;
  std::uint16_t port = 0;
  std::size_t threads = 1;
  Limits limits;
  std::shared_ptr<const TlsContext> tls;  // nullptr: HTTP without TLS
};

// Who deals with requests. Called on the network threads, several at a time; must not block.
class Handler {
 public:
  virtual ~Handler() = default;
  virtual void handle(const Request& request, Responder responder) = 0;
  // Asked once where the head of a request has come and its body has not: whether it is worth waiting for. False: the
  // request is handed over with `body_unread`, to be refused, and the connection ends with that answer.
  virtual bool wants_body([[maybe_unused]] const Request& head) { return true; }
  static constexpr std::uint16_t kRefused = 0;  // the label of requests that no handler saw
  // After each answer went into its connection, with the label that the Responder was given.
  virtual void answered(std::uint16_t label, int status, std::chrono::nanoseconds taken) = 0;
};

// HTTP/1.1 on one address. One thread and event loop per core; the first accepts and deals connections out in turn. A
// connection's coroutine reads what has come, takes every complete request in it and answers them, in order, in as few
// writes as it can. Owns its threads. The handler must live until stop() has returned.
class Server {
 public:
  // Bound and listening when it returns: port() is known and connections queue. Errors: errno.
  static Result<std::unique_ptr<Server>> listen(const ServerOptions& options, Handler& handler);
  virtual ~Server() = default;  // stop(0)

  virtual void start() = 0;  // threads begin
  virtual std::uint16_t port() const = 0;
  virtual std::size_t loops() const = 0;
  virtual Loop& loop(std::size_t index) = 0;
  virtual const Metrics& metrics() const = 0;
  virtual void set_limits(const Limits& limits) = 0;  // any thread
  // For connections from now on; those that are open keep theirs. Only where there was one from the start. Any thread.
  virtual void set_tls(std::shared_ptr<const TlsContext> tls) = 0;

  // No new connections; every answer from now on closes its connection. Any thread, returns at once.
  virtual void drain() = 0;
  // drain(); waits until every request that a handler has is answered, then at most `grace` for clients to take their
  // answers; closes everything and joins the threads. Idempotent.
  virtual void stop(std::chrono::milliseconds grace) = 0;
};

}  // namespace tidemill::http
