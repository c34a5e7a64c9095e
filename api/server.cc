#include "api/server.h"

#include <cerrno>
#include <thread>

#include "api/context.h"
#include "api/errors/problem.h"
#include "api/ingest/ingest.h"
#include "api/metrics/metrics.h"
#include "api/records/read.h"
#include "api/router/cross_site.h"
#include "api/routes.h"
#include "api/streams/streams.h"
#include "api/views/view_routes.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"

namespace tidemill {
namespace {

class ApiServerImpl final : public ApiServer, public http::Handler {
 public:
  ApiServerImpl(Env& env, Engine& engine, views::AllViews* views, Executor& workers, const ApiOptions& options)
      : context_(env, engine, views, workers, options),
        records_(context_),
        streams_(context_, records_),
        views_(context_),
        keys_(context_, options.keys),
        audit_(context_, options.keys),
        limits_(context_, options.keys),
        router_(make_routes({context_, ingest_, records_, streams_, views_, keys_, audit_, limits_,
                             [this] { return metrics(); }}),
                options.keys, options.audit, options.limiter),
        requests_(router_.labels()) {
    context_.limiter = options.limiter;
  }
  ~ApiServerImpl() override { stop(std::chrono::milliseconds(0)); }

  Result<void> listen(const ApiOptions& options) {
    context_.set_limits(options.limits);
    context_.flush_time = options.flush_time;
    context_.derived = options.derived;
    context_.usage = options.usage;
    context_.audit = options.audit;
    context_.wake_tails = [this] {
      records_.wake();
      views_.watches().wake();
    };
    http::ServerOptions o;
    o.host = options.host;
    o.port = options.port;
    o.threads = options.threads != 0 ? options.threads : std::max(1u, std::thread::hardware_concurrency());
    o.limits = options.limits.http;
    o.tls = options.tls;
    set_certificate(options.tls);
    // Over TLS such a page fails at the certificate's name.
    const bool loopback = options.host == "::1" || options.host.starts_with("127.");
    if (loopback && !options.tls) keys_of_all_ = options.keys;
    auto server = http::Server::listen(o, *this);
    if (!server) return server.error();
    http_ = std::move(*server);
    ingest_ = std::make_unique<Ingest>(context_, *http_);
    http_->start();
    return {};
  }

  std::uint16_t port() const override { return http_->port(); }

  void set_limits(const ApiLimits& limits) override {
    context_.set_limits(limits);
    http_->set_limits(limits.http);
  }

  void set_tls(std::shared_ptr<const http::TlsContext> tls) override {
    set_certificate(tls);
    http_->set_tls(std::move(tls));
    tls_.taken.add();
  }
  void count_tls_refused() override { tls_.refused.add(); }

  void drain() override {
    if (!http_) return;
    context_.draining = true;
    http_->drain();
    records_.wake();
    views_.watches().wake();
    context_.waits.end_all();
  }

  void stop(std::chrono::milliseconds grace) override {
    if (!http_) return;
    drain();
    http_->stop(grace);
  }

  void handle(const http::Request& request, http::Responder responder) override {
    if (keys_of_all_ && !keys_of_all_->any() && !is_local_host(request.header("Host")) && !is_probe(request.path))
      return responder.send(problem(ErrorId::forbidden,
                                    "There are no keys, so only this machine is served, by an address, localhost or a "
                                    "name without a dot: a page in a browser could have this name lead here. Make the "
                                    "first key with `tidemill keys create NAME --admin`."));
    router_.dispatch(request, std::move(responder));
  }
  bool wants_body(const http::Request& head) override { return router_.wants_body(head); }
  void answered(std::uint16_t label, int status, std::chrono::nanoseconds taken) override {
    requests_.count(label, status, taken);
  }

 private:
  void set_certificate(const std::shared_ptr<const http::TlsContext>& tls) {
    if (tls) tls_.expires_s.set(tls->expires_s());
  }
  std::string metrics() {
    return metrics_text({context_, router_, http_->metrics(), requests_, ingest_->metrics(), records_.metrics(),
                         views_.watches().metrics(), tls_});
  }

  static bool is_probe(std::string_view path) { return path == "/healthz" || path.starts_with("/readyz"); }

  const Keys* keys_of_all_ = nullptr;  // where only loopback is listened on, without TLS: see is_local_host()
  ApiContext context_;
  std::unique_ptr<Ingest> ingest_;
  Records records_;
  Streams streams_;
  ViewRoutes views_;
  KeyRoutes keys_;
  AuditRoutes audit_;
  LimitRoutes limits_;
  Router router_;
  RequestMetrics requests_;
  TlsMetrics tls_;
  std::unique_ptr<http::Server> http_;
};

std::string remedy(const ErrorCode& error) {
  switch (error.value()) {
    case EADDRINUSE:
      return "the address is in use by another process: stop that one, or choose another port with --listen";
    case EACCES:
    case EPERM:
      return "not allowed: choose a port above 1023 with --listen";
    case EADDRNOTAVAIL:
      return "this machine has no such address: choose one of its own with --listen";
    case EMFILE:
    case ENFILE:
      return errno_error(error.value()).message();
    default:
      return error.message() + ": choose another address with --listen";
  }
}

}  // namespace

Result<std::unique_ptr<ApiServer>> ApiServer::start(Env& env, Engine& engine, views::AllViews* views, Executor& workers,
                                                    const ApiOptions& options) {
  auto server = std::make_unique<ApiServerImpl>(env, engine, views, workers, options);
  if (const auto listening = server->listen(options); !listening) {
    const bool v6 = options.host.find(':') != std::string::npos;
    env.logger.error("cannot listen on " + (v6 ? "[" + options.host + "]" : options.host) + ":" +
                     std::to_string(options.port) + ": " + remedy(listening.error()));
    return listening.error();
  }
  return std::unique_ptr<ApiServer>(std::move(server));
}

}  // namespace tidemill
