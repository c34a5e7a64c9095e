#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "api/http/limits.h"
#include "api/http/tls_context.h"
#include "consumers/derived/derived_streams.h"
#include "consumers/views/views.h"
#include "engine/audit/audit_trail.h"
#include "engine/engine.h"
#include "engine/keys/keys.h"
#include "engine/limits/limiter.h"
#include "engine/usage/usage_log.h"
#include "storage/base/result.h"
#include "storage/log/flush_probe.h"
#include "storage/seam/env.h"

namespace tidemill {

// What requests may ask for at most. All may be changed while the server runs.
struct ApiLimits {
  http::Limits http;
  std::uint64_t record_bytes = 1 << 20;
  views::QueryLimits sql;
  std::chrono::milliseconds sql_stream_time{600'000};  // of an answer that is sent as it is made, and its snapshot
};

struct ApiOptions {
  std::string host = "127.0.0.1";  // an address, without brackets
  std::uint16_t port = 7077;       // 0: any that is free, see ApiServer::port()
  std::size_t threads = 0;         // network threads; 0: one per core
  ApiLimits limits;
  std::shared_ptr<const http::TlsContext> tls;  // nullptr: HTTP without TLS
  std::size_t worker_threads = 4;  // of `workers`: how many questions of a tenant, and of all, are at work at a time
  // Where old records are read for pages of them: should leave the processors to the rest. None: `workers`.
  Executor* historical = nullptr;
  std::size_t historical_threads = 1;
  // Keys, limits and /metrics: what must go on however much is asked. None: `workers`.
  Executor* management = nullptr;
  // Changes of streams, which the engine makes one after the other: one thread is enough, and it may have to wait for
  // the stream's groups. None: `workers`.
  Executor* changes = nullptr;
  std::optional<FlushTime> flush_time;         // what was measured at the start, for /metrics
  derived::DerivedStreams* derived = nullptr;  // nullptr: no stream is derived from another
  Keys* keys = nullptr;                        // nullptr: there are none, and everybody may do everything
  UsageLog* usage = nullptr;                   // nullptr: nothing is noted of what keys use, and not in /metrics
  Limiter* limiter = nullptr;                  // nullptr: nobody is limited, and no use is counted
  AuditTrail* audit = nullptr;                 // nullptr: nobody notes who comes
};

// The way in: HTTP over the engine and the views. Made and owned by main; owns its network threads. `workers` takes
// what blocks (disk reads, RocksDB, SQL, definitions): an executor of its own, not env.background, for some of it waits
// for tasks of that one. Everything handed in must live until stop() has returned.
//
// A network thread never blocks. A POST is answered after the flush of its commit (Log::append).
class ApiServer {
 public:
  // The socket is bound and listening when it returns. Errors: errno (EADDRINUSE, EACCES, EADDRNOTAVAIL ...); the
  // sentence with address and remedy goes to env.logger. `views` may be nullptr: then there are none.
  static Result<std::unique_ptr<ApiServer>> start(Env& env, Engine& engine, views::AllViews* views, Executor& workers,
                                                  const ApiOptions& options);
  virtual ~ApiServer() = default;  // stop()

  virtual std::uint16_t port() const = 0;  // the bound one
  virtual void set_limits(const ApiLimits& limits) = 0;
  // Another certificate, for connections from now on; those that are open keep theirs. Only where there was one from
  // the start. Any thread.
  virtual void set_tls(std::shared_ptr<const http::TlsContext> tls) = 0;
  // A new certificate was found and not taken (it cannot be read, its key is another's): counted for /metrics.
  virtual void count_tls_refused() = 0;

  // From now on: no new connections, new requests get 503 and "Connection: close", tails end, waits (after=, ack=view)
  // are answered at once. Returns at once. Before Engine::close().
  virtual void drain() = 0;
  // drain(), then waits until what is under way is answered, at most `grace` for clients to take their answers, closes
  // all connections and joins the threads. Idempotent. Not on one of its own threads or workers.
  virtual void stop(std::chrono::milliseconds grace = std::chrono::milliseconds(5'000)) = 0;
};

}  // namespace tidemill
