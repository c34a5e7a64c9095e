// Connection's way out: answers in the order of their requests, streams, and writing them to the socket.
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

#include "api/errors/problem.h"
#include "api/http/connection.h"
#include "api/http/status.h"

namespace tidemill::http {
namespace {

constexpr std::size_t kPiece = 64 << 10;  // answers are gathered in pieces of about this size
constexpr std::size_t kTurn = 256 << 10;  // sent to one client before the others of the loop have their turn

void append_number(std::string& out, std::uint64_t n) {
  char text[20];
  out.append(text, std::to_chars(text, text + sizeof text, n).ptr);
}

}  // namespace

std::size_t Exchange::unsent() const {
  std::size_t bytes = wire.size();
  for (const Part& part : parts) bytes += part.view().size();
  return bytes;
}

// More of the answer is made. What is not its turn yet is no less unanswered than what is being sent.
void Connection::queued(Exchange* e) {
  const std::size_t unsent = e->unsent();
  queued_bytes_ += unsent - e->counted;
  e->counted = unsent;
}

void Connection::owes() {
  write_since_ = loop_.now();
  owed_pace_.begin(write_since_, loop_.limits().write_timeout);
  owed_taken_ = 0;
}

void Connection::append(std::string_view text) {
  if (out_.back().piece.bytes.size() + text.size() > kPiece && !out_.back().piece.bytes.empty()) out_.emplace_back();
  out_.back().piece.bytes.append(text);
  if (out_bytes_ == 0) owes();
  out_bytes_ += text.size();
}

void Connection::append(Part part) {
  const std::size_t bytes = part.view().size();
  if (bytes == 0) return;
  if (out_bytes_ == 0) owes();
  out_bytes_ += bytes;
  out_.push_back(std::move(part));
  out_.emplace_back();
}

void Connection::write_head(std::string& to, Exchange* e, int status, std::string_view type, std::string_view headers,
                            std::ptrdiff_t length, bool close) {
  to.append(status_line(status)).append(kGuardHeaders).append("Date: ").append(loop_.date()).append("\r\n");
  if (!type.empty()) to.append("Content-Type: ").append(type).append("\r\n");
  to.append(headers).append(e->headers);
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
                        Response* owned, bool close, std::shared_ptr<const std::string> shared) {
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
  if (shared) length += shared->size();
  std::string& to = e->wire;
  write_head(to, e, status, type, headers, static_cast<std::ptrdiff_t>(length), e->closes);
  if (!e->head_only) {
    if (apart) {
      e->parts.emplace_back(Piece(std::move(owned->body), std::move(held)));
    } else {
      to.append(body);
    }
    if (owned) {
      for (Piece& piece : owned->pieces) e->parts.emplace_back(std::move(piece));
    }
    if (shared) e->parts.emplace_back(std::move(shared));
  }
  if (e->closes) stop_reading_ = true;
  queued(e);
  if (e == head_) pop_done();
  loop_.dirty(shared_from_this());
}

void Connection::finished(Exchange* e, int status) {
  // What was answered in the batch that brought it took no time by the batch's clock.
  const SteadyTime now = e->begun == loop_.now() ? std::chrono::steady_clock::now() : loop_.now();
  loop_.shared().handler.answered(e->label, status, now - e->begun);
  loop_.shared().exchanges.fetch_sub(1, std::memory_order_release);
}

// Moves the answers whose turn it is to the output.
void Connection::pop_done() {
  while (head_) {
    Exchange* e = head_;
    if (!e->wire.empty()) append(e->wire);
    e->wire.clear();
    for (Part& part : e->parts) append(std::move(part));
    e->parts.clear();
    queued_bytes_ -= std::exchange(e->counted, 0);
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
  pending_ = queued_bytes_ = 0;
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
  queued(e);
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
  e->parts.emplace_back(std::move(piece));
  queued(e);
  if (e == head_) pop_done();
  e->stream->backlog_ = e->unsent() + out_bytes_;
  loop_.dirty(shared_from_this());
}

void Connection::stream_end(Exchange* e, bool abort) {
  finished(e, e->status);
  if (e->orphan) return loop_.give_back(e);
  if (abort) {
    e->done = e->closes = true;
    // Waiting until a client that is behind has taken all the same would give it what it is refused for.
    if (e == head_) {
      // Where the end of the connection is the end of the answer, only a reset tells this from a whole one.
      boost::system::error_code ignored;
      if (e->http_10) socket_.set_option(asio::socket_base::linger(true, 0), ignored);
      return close(true);
    }
  } else if (!e->http_10 && !e->head_only) {
    e->parts.emplace_back(Piece("0\r\n\r\n", {}));
    queued(e);
  }
  e->done = true;
  if (e == head_) pop_done();
  loop_.dirty(shared_from_this());
}

// Sends what there is. Most answers fit the socket's buffer: no waiting, no call into the event loop.
void Connection::flush() {
  if (dead_ || writing_) return;
  std::size_t turn = kTurn;
  while (out_bytes_ > 0) {
    if (turn == 0) {
      flush_later();
      break;
    }
    iovec pieces[16];
    std::size_t count = 0;
    std::size_t room = turn;
    for (auto part = out_.begin(); part != out_.end() && count < 16 && room > 0; ++part) {
      const std::size_t skip = count == 0 && part == out_.begin() ? out_at_ : 0;
      const std::string_view whole = part->view();
      if (whole.size() == skip) continue;
      const std::size_t bytes = std::min(room, whole.size() - skip);
      pieces[count++] = {const_cast<char*>(whole.data()) + skip, bytes};
      room -= bytes;
    }
    const ssize_t sent = send(pieces, count);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        wait_writable();
        break;
      }
      return close(true);
    }
    took(static_cast<std::size_t>(sent));
    turn -= static_cast<std::size_t>(sent);
  }
  if (head_ && head_->stream) head_->stream->backlog_ = head_->unsent() + out_bytes_;
  if (out_bytes_ == 0 && closing_ && phase_ != Phase::discarding) {
    say_no_more();
  }
  maybe_resume();
}

// As sendmsg(2) says it.
ssize_t Connection::send(const iovec* pieces, std::size_t count) {
  if (tls_) {
    const TlsStream::Moved moved = tls_->write(pieces, count);
    if (moved.state == TlsStream::State::done) return static_cast<ssize_t>(moved.bytes);
    // Without renegotiation it never waits for the other side to write.
    errno = moved.state == TlsStream::State::writable ? EAGAIN : EPIPE;
    return -1;
  }
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces);
  message.msg_iovlen = count;
  return ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

// The client may still be sending: closing now would reset the connection and take our answer away from it.
void Connection::say_no_more() {
  if (tls_) tls_->close_notify();
  boost::system::error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  set_phase(Phase::discarding);
}

void Connection::took(std::size_t sent) {
  loop_.shared().metrics.bytes_out.add(sent);
  out_bytes_ -= sent;
  owed_taken_ += sent;
  if (out_bytes_ > 0) write_since_ = std::chrono::steady_clock::now();
  while (sent > 0) {
    const std::size_t rest = out_.front().view().size() - out_at_;
    if (sent < rest) {
      out_at_ += sent;
      return;
    }
    sent -= rest;
    out_at_ = 0;
    if (out_.size() == 1) {
      out_.front().piece.bytes.clear();  // keeps its memory for the next answer
      if (out_.front().piece.bytes.capacity() > kPiece) std::string().swap(out_.front().piece.bytes);
    } else {
      out_.pop_front();
    }
  }
}

// A page of megabytes that the socket would take whole keeps everybody else of this loop waiting meanwhile.
void Connection::flush_later() {
  writing_ = true;
  boost::asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->writing_ = false;
    self->flush();
  });
}

void Connection::wait_writable() {
  writing_ = true;
  socket_.async_wait(Socket::wait_write, [self = shared_from_this()](boost::system::error_code ec) {
    self->writing_ = false;
    if (ec) return self->close(true);
    self->flush();
  });
}

}  // namespace tidemill::http
