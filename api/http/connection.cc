#include "api/http/connection.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "api/errors/problem.h"
#include "api/http/status.h"

namespace tidemill::http {
namespace {

constexpr std::size_t kInitial = 4 << 10;  // of a connection that has nothing large to say
constexpr std::size_t kLarge = 64 << 10;   // buffers above it count against Limits::memory_bytes
constexpr std::size_t kPiece = 64 << 10;   // answers are gathered in pieces of about this size
constexpr std::size_t kDiscardMax = 64 << 20;
constexpr std::chrono::seconds kDiscardTime{10};

using UseAwaitable = asio::use_awaitable_t<Executor1>;
constexpr auto kAwait = asio::as_tuple(UseAwaitable());

void append_number(std::string& out, std::uint64_t n) {
  char text[20];
  out.append(text, std::to_chars(text, text + sizeof text, n).ptr);
}

std::size_t unsent(const Exchange& e) {
  std::size_t bytes = e.wire.size();
  for (const Piece& piece : e.pieces) bytes += piece.bytes.size();
  return bytes;
}

}  // namespace

Connection::Connection(IoLoop& loop, Socket socket) : loop_(loop), socket_(std::move(socket)), resume_(loop.context()) {
  out_.emplace_back();
  phase_since_ = write_since_ = std::chrono::steady_clock::now();
  parser_.begin(loop_.limits());
}

Connection::~Connection() {
  if (capacity_ > kLarge) loop_.shared().memory -= capacity_;
}

// ---- in ----

asio::awaitable<void, Executor1> Connection::run([[maybe_unused]] std::shared_ptr<Connection> self) {
  resume_.expires_at(SteadyTime::max());
  while (!dead_) {
    if (phase_ == Phase::discarding) {
      parsed_ = end_ = 0;
    }
    if (!make_room()) {
      loop_.begin_batch();
      refuse(ErrorId::throttled);
      loop_.end_batch();
      continue;
    }
    auto [ec, n] = co_await socket_.async_read_some(asio::buffer(in_.get() + end_, capacity_ - end_), kAwait);
    if (dead_) break;
    if (ec || n == 0) {
      eof_ = true;
      if (ec && ec != asio::error::eof) close();
      break;
    }
    loop_.shared().metrics.bytes_in.add(n);
    if (phase_ == Phase::discarding) {
      discarded_ += n;
      if (discarded_ > kDiscardMax) break;
      continue;
    }
    end_ += n;
    loop_.begin_batch();
    consume();
    loop_.end_batch();
    while (!dead_ && overloaded()) {
      waiting_ = true;
      co_await resume_.async_wait(kAwait);
      waiting_ = false;
      resume_.expires_at(SteadyTime::max());
      // Requests that were left in the buffer.
      loop_.begin_batch();
      consume();
      loop_.end_batch();
    }
  }
  // The client has said all it will. What it asked for it still gets.
  while (!dead_ && phase_ != Phase::discarding && (head_ || out_bytes_) && !(head_ && head_->stream)) {
    waiting_ = true;
    co_await resume_.async_wait(kAwait);
    waiting_ = false;
    resume_.expires_at(SteadyTime::max());
  }
  close();
  loop_.remove(this);
}

bool Connection::overloaded() const {
  return !stop_reading_ && (pending_ >= loop_.limits().pipelined || out_bytes_ > loop_.limits().unanswered_bytes);
}

void Connection::maybe_resume() {
  if (waiting_ && (eof_ || dead_ || stop_reading_ || !overloaded())) resume_.cancel();
}

void Connection::resize(std::size_t capacity) {
  auto& memory = loop_.shared().memory;
  std::unique_ptr<char[]> fresh(new char[capacity]);
  if (end_) std::memcpy(fresh.get(), in_.get(), end_);
  parser_.moved(in_.get(), fresh.get());
  if (capacity_ > kLarge) memory -= capacity_;
  if (capacity > kLarge) memory += capacity;
  in_ = std::move(fresh);
  capacity_ = capacity;
}

// Room for the next read; false: the server has none to give.
bool Connection::make_room() {
  if (end_ == 0 && capacity_ > kLarge) {
    loop_.shared().memory -= capacity_;
    in_.reset();
    capacity_ = 0;
  }
  if (capacity_ == 0) {
    in_.reset(new char[kInitial]);
    capacity_ = kInitial;
  }
  if (capacity_ - end_ >= capacity_ / 4) return true;
  // What framed the chunks that were read makes room first.
  if (const char* body_end = parser_.body_end()) {
    const std::size_t kept = static_cast<std::size_t>(body_end - in_.get());
    if (parsed_ - kept > capacity_ / 4) {
      std::memmove(in_.get() + kept, in_.get() + parsed_, end_ - parsed_);
      end_ -= parsed_ - kept;
      parsed_ = kept;
      return true;
    }
  }
  const std::size_t wanted = capacity_ * 2;
  if (wanted > kLarge && loop_.shared().memory + wanted > loop_.limits().memory_bytes) return false;
  resize(wanted);
  return true;
}

void Connection::set_phase(Phase phase) {
  phase_ = phase;
  phase_since_ = std::chrono::steady_clock::now();
}

// Takes every complete request that has come.
void Connection::consume() {
  while (!stop_reading_ && !dead_ && parsed_ < end_ && !overloaded()) {
    std::size_t taken = 0;
    const auto step = parser_.feed(in_.get() + parsed_, end_ - parsed_, taken);
    parsed_ += taken;
    if (step == RequestParser::Step::refused) {
      refuse(parser_.refusal());
      break;
    }
    if (step == RequestParser::Step::need_more) {
      if (!parser_.started()) begin_ = parsed_;
      if (parser_.started()) waiting_for_more();
      break;
    }
    dispatch();
    begin_ = parsed_;
    parser_.begin(loop_.limits());
    continue_sent_ = false;
    set_phase(Phase::idle);
  }
  if (stop_reading_) {
    begin_ = parsed_ = end_ = 0;
  } else if (begin_ == end_) {
    begin_ = parsed_ = end_ = 0;
  } else if (begin_ > 0 && !overloaded()) {
    std::memmove(in_.get(), in_.get() + begin_, end_ - begin_);
    parser_.moved(in_.get() + begin_, in_.get());
    parsed_ -= begin_;
    end_ -= begin_;
    begin_ = 0;
  }
}

void Connection::waiting_for_more() {
  if (!parser_.header_done()) {
    if (phase_ != Phase::header) set_phase(Phase::header);
    return;
  }
  if (phase_ != Phase::body) set_phase(Phase::body);
  // Only when nothing else is to be answered before: the client waits for it, and a second at most.
  if (parser_.wants_continue() && !continue_sent_ && parser_.body_taken() == 0 && !head_) {
    continue_sent_ = true;
    append("HTTP/1.1 100 Continue\r\n\r\n");
    loop_.dirty(shared_from_this());
  }
}

Exchange* Connection::new_exchange() {
  Exchange* e = loop_.take_exchange();
  e->connection = shared_from_this();
  e->head_only = parser_.is_head();
  e->http_10 = parser_.http_10();
  e->begun = std::chrono::steady_clock::now();
  (tail_ ? tail_->next : head_) = e;
  tail_ = e;
  ++pending_;
  loop_.shared().exchanges.fetch_add(1, std::memory_order_relaxed);
  return e;
}

void Connection::dispatch() {
  Exchange* e = new_exchange();
  e->keep_alive = parser_.keep_alive();
  if (!e->keep_alive) stop_reading_ = true;
  loop_.shared().handler.handle(parser_.request(), Responder(e));
}

void Connection::refuse(ErrorId id) {
  loop_.shared().metrics.bad_requests.add();
  stop_reading_ = true;
  Exchange* e = new_exchange();
  e->keep_alive = false;
  e->label = Handler::kRefused;
  Response response = problem(id);
  answer(e, response.status, response.content_type, response.headers, response.body, nullptr, true);
}

// ---- out ----

void Connection::append(std::string_view text) {
  if (out_.back().bytes.size() + text.size() > kPiece && !out_.back().bytes.empty()) out_.emplace_back();
  out_.back().bytes.append(text);
  if (out_bytes_ == 0) write_since_ = std::chrono::steady_clock::now();
  out_bytes_ += text.size();
}

void Connection::append(Piece piece) {
  if (piece.bytes.empty()) return;
  if (out_bytes_ == 0) write_since_ = std::chrono::steady_clock::now();
  out_bytes_ += piece.bytes.size();
  out_.push_back(std::move(piece));
  out_.emplace_back();
}

void Connection::write_head(std::string& to, Exchange* e, int status, std::string_view type, std::string_view headers,
                            std::ptrdiff_t length, bool close) {
  to.append(status_line(status)).append("Date: ").append(loop_.date()).append("\r\n");
  if (!type.empty()) to.append("Content-Type: ").append(type).append("\r\n");
  to.append(headers);
  if (length >= 0) {
    if (status != 204 && status != 304) {
      to.append("Content-Length: ");
      append_number(to, static_cast<std::uint64_t>(length));
      to.append("\r\n");
    }
  } else if (!e->http_10) {
    to.append("Transfer-Encoding: chunked\r\n");
  }
  if (close) {
    to.append("Connection: close\r\n");
  } else if (e->http_10) {
    to.append("Connection: keep-alive\r\n");
  }
  to.append("\r\n");
}

void Connection::answer(Exchange* e, int status, std::string_view type, std::string_view headers, std::string_view body,
                        Response* owned, bool close) {
  if (owned) body = owned->body;
  Held held;
  const bool apart = owned && body.size() > kInitial && !e->head_only;
  if (apart) {
    auto taken = Held::take(loop_.shared().answers, body.size());
    if (!taken) {
      owned->body = {};
      const Response r = problem(ErrorId::throttled, "The answers under way take all the memory there is for them.");
      return answer(e, r.status, r.content_type, r.headers, r.body, nullptr, close);
    }
    held = std::move(*taken);
  }
  finished(e, status);
  if (e->orphan) return loop_.give_back(e);
  e->closes = close || !e->keep_alive || loop_.shared().draining.load(std::memory_order_relaxed);
  e->done = true;
  std::size_t length = body.size();
  if (owned) {
    for (const Piece& piece : owned->pieces) length += piece.bytes.size();
  }
  std::string& to = e->wire;
  write_head(to, e, status, type, headers, static_cast<std::ptrdiff_t>(length), e->closes);
  if (!e->head_only) {
    if (apart) {
      e->pieces.push_back({std::move(owned->body), std::move(held)});
    } else {
      to.append(body);
    }
    if (owned) {
      for (Piece& piece : owned->pieces) e->pieces.push_back(std::move(piece));
    }
  }
  if (e->closes) stop_reading_ = true;
  if (e == head_) pop_done();
  loop_.dirty(shared_from_this());
}

void Connection::finished(Exchange* e, int status) {
  loop_.shared().handler.answered(e->label, status, std::chrono::steady_clock::now() - e->begun);
  loop_.shared().exchanges.fetch_sub(1, std::memory_order_release);
}

// Moves the answers whose turn it is to the output.
void Connection::pop_done() {
  while (head_) {
    Exchange* e = head_;
    if (!e->wire.empty()) append(e->wire);
    e->wire.clear();
    for (Piece& piece : e->pieces) append(std::move(piece));
    e->pieces.clear();
    if (!e->done) return;  // a stream at the head goes on; or it is not answered yet
    const bool closes = e->closes;
    head_ = e->next;
    if (!head_) tail_ = nullptr;
    --pending_;
    loop_.give_back(e);
    if (closes) {
      closing_ = stop_reading_ = true;
      abandon_queue();
    }
  }
}

// Answers that will not go out any more: those that are made are dropped, the others come to answer() later.
void Connection::abandon_queue() {
  for (Exchange* e = head_; e;) {
    Exchange* following = e->next;
    e->next = nullptr;
    if (e->stream) e->stream->gone_ = true;
    if (e->done) {
      loop_.give_back(e);
    } else {
      e->orphan = true;
    }
    e = following;
  }
  head_ = tail_ = nullptr;
  pending_ = 0;
}

std::shared_ptr<Stream> Connection::begin_stream(Exchange* e, const Response& head) {
  e->stream = std::make_shared<StreamImpl>(loop_, e);
  e->status = head.status;
  e->closes = head.close || !e->keep_alive || e->http_10 || loop_.shared().draining.load();
  if (e->orphan) {
    e->stream->gone_ = true;
    return e->stream;
  }
  if (e->closes) stop_reading_ = true;
  write_head(e->wire, e, head.status, head.content_type, head.headers, -1, e->closes);
  if (e == head_) pop_done();
  loop_.dirty(shared_from_this());
  return e->stream;
}

void Connection::stream_bytes(Exchange* e, Piece piece) {
  if (e->orphan || e->head_only || piece.bytes.empty()) return;
  if (!e->http_10) {
    char size[20];
    piece.bytes.insert(0,
                       std::string(size, std::to_chars(size, size + sizeof size, piece.bytes.size(), 16).ptr) + "\r\n");
    piece.bytes.append("\r\n");
  }
  e->pieces.push_back(std::move(piece));
  if (e == head_) pop_done();
  e->stream->backlog_ = unsent(*e) + out_bytes_;
  loop_.dirty(shared_from_this());
}

void Connection::stream_end(Exchange* e, bool abort) {
  finished(e, e->status);
  if (e->orphan) return loop_.give_back(e);
  if (abort) {
    e->done = e->closes = true;
    // Waiting until a client that is behind has taken all the same would give it what it is refused for.
    if (e == head_) return close();
  } else if (!e->http_10 && !e->head_only) {
    e->pieces.push_back({"0\r\n\r\n", {}});
  }
  e->done = true;
  if (e == head_) pop_done();
  loop_.dirty(shared_from_this());
}

// Sends what there is. Most answers fit the socket's buffer: no waiting, no call into the event loop.
void Connection::flush() {
  if (dead_ || writing_) return;
  while (out_bytes_ > 0) {
    iovec pieces[16];
    std::size_t count = 0;
    for (auto piece = out_.begin(); piece != out_.end() && count < 16; ++piece) {
      const std::size_t skip = count == 0 && piece == out_.begin() ? out_at_ : 0;
      if (piece->bytes.size() == skip) continue;
      pieces[count++] = {piece->bytes.data() + skip, piece->bytes.size() - skip};
    }
    msghdr message{};
    message.msg_iov = pieces;
    message.msg_iovlen = count;
    const ssize_t sent = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        wait_writable();
        break;
      }
      return close();
    }
    took(static_cast<std::size_t>(sent));
  }
  if (head_ && head_->stream) head_->stream->backlog_ = unsent(*head_) + out_bytes_;
  if (out_bytes_ == 0 && closing_ && phase_ != Phase::discarding) {
    // The client may still be sending: closing now would reset the connection and take our answer away from it.
    boost::system::error_code ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
    set_phase(Phase::discarding);
  }
  maybe_resume();
}

void Connection::took(std::size_t sent) {
  loop_.shared().metrics.bytes_out.add(sent);
  write_since_ = std::chrono::steady_clock::now();
  out_bytes_ -= sent;
  while (sent > 0) {
    const std::size_t rest = out_.front().bytes.size() - out_at_;
    if (sent < rest) {
      out_at_ += sent;
      return;
    }
    sent -= rest;
    out_at_ = 0;
    if (out_.size() == 1) {
      out_.front().bytes.clear();  // keeps its memory for the next answer
      if (out_.front().bytes.capacity() > kPiece) out_.front() = {};
    } else {
      out_.pop_front();
    }
  }
}

void Connection::wait_writable() {
  writing_ = true;
  socket_.async_wait(Socket::wait_write, [self = shared_from_this()](boost::system::error_code ec) {
    self->writing_ = false;
    if (ec) return self->close();
    self->flush();
  });
}

void Connection::close() {
  if (dead_) return;
  dead_ = true;
  abandon_queue();
  out_bytes_ = 0;
  boost::system::error_code ignored;
  socket_.close(ignored);
  resume_.cancel();
}

std::size_t Connection::held() const {
  std::size_t bytes = capacity_;
  for (const Piece& piece : out_) bytes += piece.bytes.capacity();
  for (const Exchange* e = head_; e; e = e->next) bytes += e->wire.capacity() + unsent(*e) - e->wire.size();
  return bytes;
}

// Every half second: whoever is too slow goes.
void Connection::sweep(SteadyTime now) {
  if (dead_) return;
  const Limits& limits = loop_.limits();
  const auto age = now - phase_since_;
  if (out_bytes_ > 0 && now - write_since_ > limits.write_timeout) {
    loop_.shared().metrics.timeouts.add();
    return close();
  }
  switch (phase_) {
    case Phase::idle:
      if (!head_ && out_bytes_ == 0 && age > limits.idle_timeout) close();
      break;
    case Phase::header:
      if (age > limits.header_timeout && !stop_reading_) {
        loop_.shared().metrics.timeouts.add();
        refuse(ErrorId::request_timeout);
      }
      break;
    case Phase::body: {
      const auto needed = std::chrono::milliseconds(parser_.body_taken() * 1000 / limits.body_bytes_per_second);
      if (age > limits.body_grace + needed && !stop_reading_) {
        loop_.shared().metrics.timeouts.add();
        refuse(ErrorId::request_timeout);
      }
      break;
    }
    case Phase::discarding:
      if (age > kDiscardTime) close();
      break;
  }
}

}  // namespace tidemill::http
