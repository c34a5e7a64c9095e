#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <ctime>

#include "api/errors/problem.h"
#include "api/http/connection.h"
#include "storage/base/check.h"

namespace tidemill::http {
namespace {

constexpr std::chrono::milliseconds kSweep{500};
constexpr std::size_t kPooled = 4'096;
constexpr std::size_t kWireKept = 4 << 10;

}  // namespace

IoLoop::IoLoop(std::size_t index, Shared& shared) : index_(index), shared_(shared), limits_(shared.limits) {}

IoLoop::~IoLoop() {
  while (free_) delete std::exchange(free_, free_->next);
}

bool IoLoop::running_here() const {
  return const_cast<IoLoop*>(this)->context_.get_executor().running_in_this_thread();
}

void IoLoop::post(Task task) {
  asio::post(context_, [this, task = std::move(task)] {
    begin_batch();
    task();
    end_batch();
  });
}

void IoLoop::post_after(std::chrono::nanoseconds delay, Task task) {
  // The timer lives until it fires or the loop ends.
  auto start = [this, delay, task = std::move(task)]() mutable {
    auto timer = std::make_shared<Timer>(context_, std::chrono::steady_clock::now() + delay);
    timer->async_wait([this, timer, task = std::move(task)](boost::system::error_code ec) {
      if (ec) return;
      begin_batch();
      task();
      end_batch();
    });
  };
  if (running_here()) {
    start();
  } else {
    asio::post(context_, std::move(start));
  }
}

void IoLoop::run() {
  asio::post(context_, [this] { arm(); });
  context_.run();
}

void IoLoop::arm() {
  sweeper_.expires_after(kSweep);
  sweeper_.async_wait([this](boost::system::error_code ec) {
    if (ec || closed_) return;
    sweep();
    arm();
  });
}

void IoLoop::sweep() {
  if (limits_version_ != shared_.limits_version.load()) {
    const std::lock_guard lock(shared_.mutex);
    limits_version_ = shared_.limits_version.load();
    limits_ = shared_.limits;
  }
  const auto now = std::chrono::steady_clock::now();
  begin_batch();
  std::size_t held = 0;
  for (const auto& connection : connections_) {
    connection->sweep(now);
    held += connection->held();
  }
  end_batch();
  pages_.trim();
  shared_.metrics.buffer_bytes.add(static_cast<std::int64_t>(held) - static_cast<std::int64_t>(held_));
  held_ = held;
}

void IoLoop::adopt(Socket socket) {
  boost::system::error_code ignored;
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket.non_blocking(true, ignored);
  std::shared_ptr<const TlsContext> tls;
  if (shared_.speaks_tls) {
    const std::lock_guard lock(shared_.mutex);
    tls = shared_.tls;
  }
  auto connection = std::make_shared<Connection>(*this, std::move(socket), std::move(tls));
  connection->slot = connections_.size();
  connections_.push_back(connection);
  shared_.metrics.connections.add(1);
  if (closed_) connection->close();
  asio::co_spawn(context_, connection->run(connection), asio::detached);
}

void IoLoop::remove(Connection* connection) {
  const std::size_t slot = connection->slot;
  CHECK(slot < connections_.size() && connections_[slot].get() == connection);
  shared_.metrics.connections.add(-1);
  shared_.open.fetch_sub(1);
  connections_.back()->slot = slot;
  std::swap(connections_[slot], connections_.back());
  connections_.pop_back();
  if (closed_ && connections_.empty()) context_.stop();
}

std::size_t IoLoop::busy() const {
  std::size_t n = 0;
  for (const auto& connection : connections_) n += connection->idle() ? 0 : 1;
  return n;
}

void IoLoop::close_all() {
  closed_ = true;
  sweeper_.cancel();
  // Each leaves the list when its coroutine has ended.
  for (const auto& connection : connections_) connection->close();
  if (connections_.empty()) context_.stop();
}

std::string_view IoLoop::date() {
  const std::time_t now = std::time(nullptr);
  if (now != date_second_) {
    date_second_ = now;
    std::tm tm{};
    gmtime_r(&now, &tm);
    char text[40];
    date_.assign(text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm));
  }
  return date_;
}

Exchange* IoLoop::take_exchange() {
  if (!free_) {
    auto* e = new Exchange;
    e->loop = this;
    return e;
  }
  Exchange* e = std::exchange(free_, free_->next);
  --free_count_;
  e->next = nullptr;
  return e;
}

void IoLoop::give_back(Exchange* e) {
  if (free_count_ >= kPooled) {
    delete e;
    return;
  }
  e->connection.reset();
  e->stream.reset();
  e->wire.clear();
  if (e->wire.capacity() > kWireKept) std::string().swap(e->wire);
  e->parts.clear();
  e->headers.clear();
  e->label = 0;
  e->status = 0;
  e->counted = 0;
  e->done = e->closes = e->head_only = e->http_10 = false;
  e->orphan = false;
  e->keep_alive = true;
  e->next = std::exchange(free_, e);
  ++free_count_;
}

void IoLoop::dirty(const std::shared_ptr<Connection>& connection) {
  if (connection->is_dirty) return;
  connection->is_dirty = true;
  dirty_.push_back(connection);
  if (batch_ == 0 && !flush_posted_) {
    flush_posted_ = true;
    asio::post(context_, [this] {
      flush_posted_ = false;
      flush_dirty();
    });
  }
}

void IoLoop::end_batch() {
  if (--batch_ == 0) flush_dirty();
}

void IoLoop::flush_dirty() {
  while (!dirty_.empty()) {
    flushing_.swap(dirty_);
    for (const auto& connection : flushing_) {
      connection->is_dirty = false;
      connection->flush();
    }
    flushing_.clear();
  }
}

// ---- what handlers see ----

bool StreamImpl::try_write(std::string& bytes) {
  if (gone_.load() || ended_.load()) return false;
  auto held = Held::take(loop_.shared().answers, bytes.size());
  if (!held) return false;
  posted_->fetch_add(bytes.size());
  auto piece = std::make_shared<Piece>(Piece{std::move(bytes), std::move(*held)});
  loop_.post([e = exchange_, piece = std::move(piece), posted = posted_] {
    posted->fetch_sub(piece->bytes.size());
    e->connection->stream_bytes(e, std::move(*piece));
  });
  return true;
}

void StreamImpl::end(bool abort) {
  if (ended_.exchange(true)) return;
  loop_.post([e = exchange_, abort] { e->connection->stream_end(e, abort); });
}

bool Responder::abandoned() const {
  CHECK(exchange_);
  return exchange_->orphan.load();
}

std::optional<Held> Responder::reserve(std::size_t bytes) const {
  CHECK(exchange_);
  return Held::take(exchange_->loop->shared().answers, bytes);
}

Loop& Responder::loop() const {
  CHECK(exchange_);
  return *exchange_->loop;
}

void Responder::set_label(std::uint16_t label) {
  exchange_->label = label;
}

void Responder::set_headers(std::string_view lines) {
  CHECK(exchange_);
  exchange_->headers.assign(lines);
}

std::shared_ptr<void>& Responder::kept_by_connection() {
  CHECK(exchange_);
  return exchange_->connection->kept;
}

void Responder::send(Response response) {
  CHECK(exchange_);
  Exchange* e = std::exchange(exchange_, nullptr);
  if (e->loop->running_here()) {
    e->connection->answer(e, response.status, response.content_type, response.headers, {}, &response, response.close);
    return;
  }
  e->loop->post([e, r = std::make_shared<Response>(std::move(response))] {
    e->connection->answer(e, r->status, r->content_type, r->headers, {}, r.get(), r->close);
  });
}

void Responder::send_shared(Response head, std::shared_ptr<const std::string> body) {
  CHECK(exchange_ && exchange_->loop->running_here());
  Exchange* e = std::exchange(exchange_, nullptr);
  e->connection->answer(e, head.status, head.content_type, head.headers, {}, &head, head.close, std::move(body));
}

void Responder::send_here(int status, std::string_view content_type, std::string_view headers, std::string_view body,
                          bool close) {
  CHECK(exchange_);
  Exchange* e = std::exchange(exchange_, nullptr);
  e->connection->answer(e, status, content_type, headers, body, nullptr, close);
}

std::shared_ptr<Stream> Responder::stream(const Response& head) {
  CHECK(exchange_ && exchange_->loop->running_here());
  Exchange* e = std::exchange(exchange_, nullptr);
  return e->connection->begin_stream(e, head);
}

void Responder::drop() {
  if (!exchange_) return;
  send(problem(ErrorId::internal));
}

}  // namespace tidemill::http
