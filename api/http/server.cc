#include "api/http/server.h"

#include <pthread.h>
#include <signal.h>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <thread>

#include "api/errors/problem.h"
#include "api/http/connection.h"
#include "api/http/status.h"
#include "storage/base/check.h"

namespace tidemill::http {
namespace {

using asio::ip::tcp;

class ServerImpl final : public Server {
 public:
  explicit ServerImpl(Handler& handler, const Limits& limits) : shared_(handler) {
    shared_.limits = limits;
    shared_.answers.set_most(limits.answer_bytes);
  }
  ~ServerImpl() override {
    if (started_) stop(std::chrono::milliseconds(0));
  }

  Result<void> bind(const ServerOptions& options);
  void start() override;
  std::uint16_t port() const override { return port_; }
  std::size_t loops() const override { return loops_.size(); }
  Loop& loop(std::size_t index) override { return *loops_[index]; }
  const Metrics& metrics() const override { return shared_.metrics; }
  void set_limits(const Limits& limits) override;
  void set_tls(std::shared_ptr<const TlsContext> tls) override;
  void drain() override;
  void stop(std::chrono::milliseconds grace) override;

 private:
  void accept();
  void turn_away(Socket socket);

  Shared shared_;
  std::vector<std::unique_ptr<IoLoop>> loops_;
  std::unique_ptr<asio::basic_socket_acceptor<tcp, Executor1>> acceptor_;
  std::unique_ptr<Timer> pause_;
  std::vector<std::thread> threads_;
  std::size_t turn_ = 0;
  std::uint16_t port_ = 0;
  bool started_ = false;
  bool stopped_ = false;
};

Result<void> ServerImpl::bind(const ServerOptions& options) {
  shared_.tls = options.tls;
  shared_.speaks_tls = options.tls != nullptr;
  try {
    for (std::size_t i = 0; i < std::max<std::size_t>(1, options.threads); ++i) {
      loops_.push_back(std::make_unique<IoLoop>(i, shared_));
    }
  } catch (const boost::system::system_error& e) {  // Asio's loop has descriptors of its own
    return ErrorCode(e.code());
  }
  ErrorCode ec;
  const auto address = asio::ip::make_address(options.host == "localhost" ? "127.0.0.1" : options.host, ec);
  if (ec) return ec;
  const tcp::endpoint endpoint(address, options.port);
  acceptor_ = std::make_unique<asio::basic_socket_acceptor<tcp, Executor1>>(loops_[0]->context());
  acceptor_->open(endpoint.protocol(), ec);
  if (!ec) acceptor_->set_option(tcp::acceptor::reuse_address(true), ec);
  if (!ec && address.is_v6()) acceptor_->set_option(asio::ip::v6_only(true), ec);
  if (!ec) acceptor_->bind(endpoint, ec);
  if (!ec) acceptor_->listen(4096, ec);
  if (ec) return ec;
  const auto bound = acceptor_->local_endpoint(ec);
  if (ec) return ec;
  port_ = bound.port();
  pause_ = std::make_unique<Timer>(loops_[0]->context());
  return {};
}

void ServerImpl::start() {
  CHECK(!started_);
  started_ = true;
  asio::post(loops_[0]->context(), [this] { accept(); });
  // Signals are main's: our threads take none.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (auto& loop : loops_) {
    threads_.emplace_back([&loop = *loop] { loop.run(); });
    const std::string name = "net-" + std::to_string(loop->index());
    pthread_setname_np(threads_.back().native_handle(), name.c_str());
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

// On the first loop. Connections are dealt out in turn.
void ServerImpl::accept() {
  IoLoop& to = *loops_[turn_++ % loops_.size()];
  acceptor_->async_accept(to.context(), [this, &to](ErrorCode ec, Socket socket) {
    if (!acceptor_->is_open()) return;
    if (ec) {
      // Out of descriptors, most likely: a pause lets some be closed.
      pause_->expires_after(std::chrono::milliseconds(50));
      pause_->async_wait([this](ErrorCode e) {
        if (!e && acceptor_->is_open()) accept();
      });
      return;
    }
    if (shared_.open.load() >= loops_[0]->limits().connections) {
      turn_away(std::move(socket));
    } else {
      shared_.open.fetch_add(1);
      shared_.metrics.accepted.add();
      asio::dispatch(to.context(), [&to, s = std::move(socket)]() mutable { to.adopt(std::move(s)); });
    }
    accept();
  });
}

void ServerImpl::turn_away(Socket socket) {
  shared_.metrics.refused_connections.add();
  if (shared_.speaks_tls) return;  // to say why would take a handshake, which is what there is too much of
  const Response r = problem(ErrorId::too_many_connections);
  std::string text(status_line(r.status));
  text.append(kGuardHeaders).append("Content-Type: ").append(r.content_type).append("\r\n").append(r.headers);
  text.append("Content-Length: ").append(std::to_string(r.body.size())).append("\r\nConnection: close\r\n\r\n");
  text.append(r.body);
  ErrorCode ignored;
  socket.non_blocking(true, ignored);
  socket.write_some(asio::buffer(text), ignored);
  socket.shutdown(Socket::shutdown_send, ignored);
}

void ServerImpl::set_limits(const Limits& limits) {
  const std::lock_guard lock(shared_.mutex);
  shared_.limits = limits;
  shared_.answers.set_most(limits.answer_bytes);
  shared_.limits_version.fetch_add(1);
}

void ServerImpl::set_tls(std::shared_ptr<const TlsContext> tls) {
  CHECK(shared_.speaks_tls && tls);
  const std::lock_guard lock(shared_.mutex);
  shared_.tls = std::move(tls);
}

void ServerImpl::drain() {
  if (shared_.draining.exchange(true)) return;
  asio::post(loops_[0]->context(), [this] {
    ErrorCode ignored;
    acceptor_->close(ignored);
  });
}

void ServerImpl::stop(std::chrono::milliseconds grace) {
  if (stopped_) return;
  stopped_ = true;
  drain();
  if (started_) {
    // Handlers answer each request they have: appends when their commit ends, queries within their limit. Polled: it
    // happens once in a server's life.
    while (shared_.exchanges.load(std::memory_order_acquire) != 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const auto end = std::chrono::steady_clock::now() + grace;
    std::atomic<std::size_t> busy{1};
    while (std::chrono::steady_clock::now() < end) {
      busy = 0;
      std::atomic<std::size_t> asked{loops_.size()};
      std::mutex mutex;
      std::condition_variable changed;
      for (auto& loop : loops_) {
        loop->post([&, &l = *loop] {
          busy += l.busy();
          const std::lock_guard lock(mutex);
          if (--asked == 0) changed.notify_one();
        });
      }
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return asked.load() == 0; });
      if (busy == 0) break;
      changed.wait_for(lock, std::chrono::milliseconds(5), [] { return false; });
    }
    for (auto& loop : loops_) {
      loop->post([&l = *loop] { l.close_all(); });
    }
  }
  for (auto& thread : threads_) thread.join();
  threads_.clear();
  acceptor_.reset();
}

}  // namespace

Result<std::unique_ptr<Server>> Server::listen(const ServerOptions& options, Handler& handler) {
  auto server = std::make_unique<ServerImpl>(handler, options.limits);
  RETURN_IF_ERROR(server->bind(options));
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace tidemill::http
