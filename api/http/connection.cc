// Connection's way in: reading, finding requests, handing them out.
#include "api/http/connection.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <tuple>

#include "api/errors/problem.h"
#include "api/http/status.h"

namespace tidemill::http {
namespace {

constexpr std::size_t kDiscardMax = 64 << 20;

using UseAwaitable = asio::use_awaitable_t<Executor1>;
constexpr auto kAwait = asio::as_tuple(UseAwaitable());

Socket::wait_type wait_for(TlsStream::State state) {
  return state == TlsStream::State::writable ? Socket::wait_write : Socket::wait_read;
}

}  // namespace

Connection::Connection(IoLoop& loop, Socket socket, std::shared_ptr<const TlsContext> tls)
    : loop_(loop), socket_(std::move(socket)), resume_(loop.context()) {
  out_.emplace_back();
  phase_since_ = write_since_ = std::chrono::steady_clock::now();
  if (tls) {
    tls_ = std::make_unique<TlsStream>(std::move(tls), socket_.native_handle());
    phase_ = Phase::handshake;
  }
}

Connection::~Connection() {
  free_buffer();
}

asio::awaitable<void, Executor1> Connection::run([[maybe_unused]] std::shared_ptr<Connection> self) {
  resume_.expires_at(SteadyTime::max());
  while (!dead_ && phase_ == Phase::handshake) {
    const TlsStream::State state = tls_->handshake();
    if (state == TlsStream::State::done || state == TlsStream::State::failed) {
      handshake_ended(state);
      break;
    }
    auto [ec] = co_await socket_.async_wait(wait_for(state), kAwait);
    if (ec) close(true);
  }
  bool filled = false;
  auto next = tls_ ? TlsStream::State::done : TlsStream::State::readable;
  while (!dead_) {
    if (phase_ == Phase::discarding) {
      parsed_ = end_ = 0;
      next = TlsStream::State::done;
    }
    if (next != TlsStream::State::done) {
      if (end_ == 0) free_buffer();
      auto [ec] = co_await socket_.async_wait(wait_for(next), kAwait);
      if (dead_) break;
      if (ec) {
        close(true);
        break;
      }
      next = TlsStream::State::done;
      parked_ = false;
    }
    if (!make_room(filled)) {
      loop_.begin_batch();
      const auto now = std::chrono::steady_clock::now();
      refuse(ErrorId::throttled, loop_.shared().memory.time_for(capacity_, loop_.limits().memory_bytes, now));
      loop_.end_batch();
      continue;
    }
    const std::size_t room = capacity_ - end_;
    boost::system::error_code ec;
    std::size_t n = 0;
    if (tls_ && phase_ != Phase::discarding) {
      const TlsStream::Moved moved = tls_->read(in_ + end_, room);
      n = moved.bytes;
      next = moved.state;
      if (next == TlsStream::State::closed || next == TlsStream::State::failed) {
        if (n == 0) ec = asio::error::eof;
        if (n == 0 && next == TlsStream::State::failed) ec = asio::error::connection_reset;
        next = TlsStream::State::done;  // what came before it counts; the end is seen again
      } else if (n == 0) {
        continue;
      }
    } else {
      std::tie(ec, n) = co_await socket_.async_read_some(asio::buffer(in_ + end_, room), kAwait);
      if (ec == asio::error::operation_aborted && parked_ && !dead_) {
        park();
        next = TlsStream::State::readable;
        continue;
      }
      parked_ = false;
    }
    if (dead_) break;
    if (ec || n == 0) {
      eof_ = true;
      if (ec && ec != asio::error::eof) close(true);
      break;
    }
    loop_.shared().metrics.bytes_in.add(n);
    if (phase_ == Phase::discarding) {
      forget(0, n);
      discarded_ += n;
      if (discarded_ > kDiscardMax) break;
      continue;
    }
    end_ += n;
    filled = n == room;
    const bool more = tls_ && filled && next == TlsStream::State::done;
    loop_.begin_batch();
    consume();
    loop_.end_batch();
    while (!dead_ && (overloaded() || cut_short_)) {
      if (overloaded()) {
        waiting_ = true;
        co_await resume_.async_wait(kAwait);
        waiting_ = false;
        resume_.expires_at(SteadyTime::max());
      } else {
        // The batch's end has sent enough; the others of the loop have their turn first.
        co_await asio::post(socket_.get_executor(), UseAwaitable());
      }
      if (dead_) break;
      // Requests that were left in the buffer: nothing else may come to wake us for them.
      loop_.begin_batch();
      consume();
      loop_.end_batch();
    }
    // Without a wait in between, whoever sends megabytes would keep everybody else of this loop waiting.
    if (more && !dead_) co_await asio::post(socket_.get_executor(), UseAwaitable());
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
  const Limits& limits = loop_.limits();
  return !stop_reading_ && (pending_ >= limits.pipelined || out_bytes_ + queued_bytes_ > limits.unanswered_bytes);
}

void Connection::maybe_resume() {
  if (waiting_ && (eof_ || dead_ || stop_reading_ || !overloaded())) resume_.cancel();
}

// `capacity` is larger than before. While it copies there are both buffers, one such moment for each loop: only what
// stays is counted.
void Connection::resize(std::size_t capacity) {
  std::unique_ptr<char[]> fresh(new char[capacity]);
  if (end_ > 0) {
    std::memcpy(fresh.get(), in_, end_);
    const char* const body = parser_.body_begin();
    forget(0, body ? static_cast<std::size_t>(body - in_) : end_);
  }
  parser_.moved(in_, fresh.get());
  capacity_ == kInitial ? loop_.pages().give_back(in_) : delete[] in_;
  in_ = fresh.release();
  capacity_ = capacity;
}

// Room for the next read; false: the server has none to give. `filled`: the last read left none.
bool Connection::make_room(bool filled) {
  if (end_ == 0 && capacity_ > kLarge) free_buffer();
  if (capacity_ == 0) {
    in_ = loop_.pages().take();
    capacity_ = kInitial;
  }
  // A window of pipelined requests is to come with one read, and so into one commit and one answer.
  if (filled && capacity_ < kFilled) resize(kFilled);
  if (capacity_ - end_ >= capacity_ / 4) return true;
  const std::size_t needed = most_needed();
  const bool at_most = capacity_ >= needed;
  // What framed the chunks that were read makes room first.
  if (const char* body_end = parser_.body_end()) {
    const std::size_t kept = static_cast<std::size_t>(body_end - in_);
    if (parsed_ - kept > (at_most ? 0 : capacity_ / 4)) {
      std::memmove(in_ + kept, in_ + parsed_, end_ - parsed_);
      forget(end_ - (parsed_ - kept), end_);
      end_ -= parsed_ - kept;
      parsed_ = kept;
      return true;
    }
  }
  if (at_most && end_ < capacity_) return true;
  // As much again as has come, whatever is said to follow; and no more than what is said to.
  const std::size_t twice = capacity_ * 2;
  return resize_within_memory(at_most ? twice : std::min(twice, std::max(needed, kLarge)));
}

// What the request at hand can fill of the buffer, once its head has come.
std::size_t Connection::most_needed() const {
  if (parser_.parked() || !parser_.header_done()) return SIZE_MAX;
  const char* const body = parser_.body_begin();
  return (body ? static_cast<std::size_t>(body - in_) : parsed_) + parser_.body_room();
}

bool Connection::resize_within_memory(std::size_t capacity) {
  if (capacity > kLarge) {
    const Limits& limits = loop_.limits();
    const BodyMemory::Most most{limits.memory_bytes, limits.one_request()};
    const std::size_t before = capacity_ > kLarge ? capacity_ : 0;
    if (!loop_.shared().memory.grow(address(), before, capacity, most, std::chrono::steady_clock::now())) return false;
  }
  resize(capacity);
  return true;
}

void Connection::set_phase(Phase phase) {
  phase_ = phase;
  phase_since_ = loop_.now();
}

// Takes every complete request that has come.
void Connection::consume() {
  while (!stop_reading_ && !dead_ && parsed_ < end_ && !overloaded()) {
    if (parser_.parked()) parser_.begin(loop_.limits());
    std::size_t taken = 0;
    const auto step = parser_.feed(in_ + parsed_, end_ - parsed_, taken);
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
    forget_head();
    begin_ = parsed_;
    parser_.begin(loop_.limits());
    continue_sent_ = false;
    set_phase(Phase::idle);
  }
  cut_short_ = !dead_ && parsed_ < end_ && overloaded();
  if (stop_reading_ || begin_ == end_) {
    forget(begin_, end_);
    begin_ = parsed_ = end_ = 0;
  } else if (begin_ > 0 && !overloaded()) {
    std::memmove(in_, in_ + begin_, end_ - begin_);
    forget(std::max(begin_, end_ - begin_), end_);
    parser_.moved(in_ + begin_, in_);
    parsed_ -= begin_;
    end_ -= begin_;
    begin_ = 0;
  }
}

// Heads bring keys, which must not stay in a buffer that may be as it is for long, or be somebody else's next: a core
// file is then without them. Wherever bytes of one are left behind they are overwritten, whatever became of the
// request.
void Connection::forget(std::size_t from, std::size_t to) {
  if (from < to) OPENSSL_cleanse(in_ + from, to - from);
}

// Of the request that was handed out all but its body: also its trailers.
void Connection::forget_head() {
  const std::string_view body = parser_.request().body;
  if (body.empty()) return forget(begin_, parsed_);
  const auto at = static_cast<std::size_t>(body.data() - in_);
  forget(begin_, at);
  forget(at + body.size(), parsed_);
}

void Connection::waiting_for_more() {
  if (!parser_.header_done()) {
    if (phase_ != Phase::header) set_phase(Phase::header);
    return;
  }
  if (phase_ != Phase::body) {
    set_phase(Phase::body);
    body_pace_.begin(loop_.now(), loop_.limits().body_grace);
    if (turned_away()) return;
  }
  // Only when nothing else is to be answered before: the client waits for it, and a second at most.
  if (parser_.wants_continue() && !continue_sent_ && parser_.body_taken() == 0 && !head_) {
    continue_sent_ = true;
    append("HTTP/1.1 100 Continue\r\n\r\n");
    loop_.dirty(shared_from_this());
  }
}

// Whoever may not do what the head asks for is told so now: the body is neither waited for nor kept, nor asked for by a
// 100. What comes of it is read over until the answer is taken, like behind any last answer.
bool Connection::turned_away() {
  if (tls_) parser_.set_peer(tls_->peer());
  parser_.set_address(address());
  Handler& handler = loop_.shared().handler;
  const Request* const head = parser_.head();
  if (head == nullptr || handler.wants_body(*head)) return false;
  stop_reading_ = true;
  Exchange* e = new_exchange();
  e->keep_alive = false;
  handler.handle(*head, Responder(e));
  return true;
}

Exchange* Connection::new_exchange() {
  Exchange* e = loop_.take_exchange();
  e->connection = shared_from_this();
  e->head_only = parser_.is_head();
  e->http_10 = parser_.http_10();
  e->begun = loop_.now();
  (tail_ ? tail_->next : head_) = e;
  tail_ = e;
  ++pending_;
  loop_.shared().exchanges.fetch_add(1, std::memory_order_relaxed);
  return e;
}

// Not what a proxy in front says in a header: anybody may write that.
const std::string& Connection::address() {
  if (!address_.empty()) return address_;
  boost::system::error_code error;
  const auto other = socket_.remote_endpoint(error);
  if (error) {
    address_ = "unknown";  // it has gone already
  } else if (other.address().is_v6() && other.address().to_v6().is_v4_mapped()) {
    address_ = asio::ip::make_address_v4(asio::ip::v4_mapped, other.address().to_v6()).to_string();
  } else {
    address_ = other.address().to_string();
  }
  return address_;
}

void Connection::dispatch() {
  Exchange* e = new_exchange();
  const std::uint64_t most = loop_.limits().requests;
  e->keep_alive = parser_.keep_alive() && (++requests_ < most || most == 0);
  if (!e->keep_alive) stop_reading_ = true;
  if (tls_) parser_.set_peer(tls_->peer());
  parser_.set_address(address());
  loop_.shared().handler.handle(parser_.request(), Responder(e));
}

void Connection::refuse(ErrorId id, std::chrono::nanoseconds retry_after) {
  loop_.shared().metrics.bad_requests.add();
  stop_reading_ = true;
  Exchange* e = new_exchange();
  e->keep_alive = false;
  e->label = Handler::kRefused;
  Response response = problem(id, {}, {}, retry_after);
  answer(e, response.status, response.content_type, response.headers, response.body, nullptr, true);
}

}  // namespace tidemill::http
