// Connection's life: its TLS handshake, what it holds while it waits, and its end.
#include "api/errors/problem.h"
#include "api/http/connection.h"

namespace tidemill::http {
namespace {

constexpr std::chrono::seconds kDiscardTime{10};
constexpr std::chrono::milliseconds kPark{1'000};  // idle so long, a connection gives its memory back

}  // namespace

void Connection::handshake_ended(TlsStream::State state) {
  Metrics::Handshakes& count = loop_.shared().metrics.handshakes;
  if (state == TlsStream::State::done) {
    const bool is_13 = tls_->is_13();
    (tls_->resumed() ? is_13 ? count.resumed_13 : count.resumed_12 : is_13 ? count.full_13 : count.full_12).add();
    phase_ = Phase::idle;
    phase_since_ = std::chrono::steady_clock::now();
    return;
  }
  const bool plain = tls_->spoke_plain();
  (plain ? count.plain : count.failed).add();
  tls_.reset();
  phase_ = Phase::idle;
  loop_.begin_batch();
  if (plain) {
    parser_.begin(loop_.limits());
    refuse(ErrorId::tls_required);
  } else {
    // OpenSSL has sent an alert that says why; closing at once might take it away again.
    stop_reading_ = true;
    say_no_more();
  }
  loop_.end_batch();
}

void Connection::free_buffer() {
  forget(0, end_);
  if (capacity_ == kInitial) {
    loop_.pages().give_back(in_);
  } else {
    delete[] in_;
  }
  if (capacity_ > kLarge) loop_.shared().memory.give_back(address_, capacity_, std::chrono::steady_clock::now());
  in_ = nullptr;
  capacity_ = 0;
}

// Nothing is under way: all that a connection needs to wait for its next request is the socket.
void Connection::park() {
  if (head_ || out_bytes_ > 0 || end_ > 0) return;
  free_buffer();
  parser_.park();
  std::string().swap(out_.front().piece.bytes);  // an assignment would keep the memory
}

// `abruptly`: the client is to see that something is missing, or is not there to see anything.
void Connection::close(bool abruptly) {
  if (dead_) return;
  dead_ = true;
  abandon_queue();
  kept.reset();
  if (tls_ && !abruptly && out_bytes_ == 0) tls_->close_notify();
  out_bytes_ = 0;
  boost::system::error_code ignored;
  socket_.close(ignored);
  resume_.cancel();
}

std::size_t Connection::held() const {
  std::size_t bytes = capacity_;
  for (const Part& part : out_) bytes += part.piece.bytes.capacity();
  for (const Exchange* e = head_; e; e = e->next) {
    bytes += e->wire.capacity();
    for (const Part& part : e->parts) bytes += part.piece.bytes.capacity();
  }
  return bytes;
}

// Every half second: whoever is too slow goes.
void Connection::sweep(SteadyTime now) {
  if (dead_) return;
  const Limits& limits = loop_.limits();
  const auto age = now - phase_since_;
  if (out_bytes_ > 0) {
    const bool keeps = owed_pace_.keeps(now, owed_taken_, limits.write_bytes_per_second, limits.write_timeout);
    if (now - write_since_ > limits.write_timeout || !keeps) {
      loop_.shared().metrics.timeouts.add();
      return close(true);
    }
  }
  switch (phase_) {
    case Phase::handshake:
      if (age > limits.header_timeout) {
        loop_.shared().metrics.timeouts.add();
        loop_.shared().metrics.handshakes.timed_out.add();
        close(true);
      }
      break;
    case Phase::idle:
      if (head_ || out_bytes_ > 0) break;
      if (age > limits.idle_timeout) return close();
      if (end_ == 0 && !waiting_ && !parked_ && age > kPark) {
        parked_ = true;
        boost::system::error_code ignored;
        if (tls_) {
          park();  // it waits without a buffer as it is
        } else {
          socket_.cancel(ignored);  // what reads into the buffer lets go of it, and parks
        }
      }
      break;
    case Phase::header:
      if (age > limits.header_timeout && !stop_reading_) {
        loop_.shared().metrics.timeouts.add();
        refuse(ErrorId::request_timeout);
      }
      break;
    case Phase::body:
      // While it is not read, it cannot come.
      if (waiting_) body_pace_.begin(now, limits.body_grace);
      if (!body_pace_.keeps(now, parser_.body_taken(), limits.body_bytes_per_second, limits.body_grace) &&
          !stop_reading_) {
        loop_.shared().metrics.timeouts.add();
        refuse(ErrorId::request_timeout);
      }
      break;
    case Phase::discarding:
      if (age > kDiscardTime) close();
      break;
  }
}

}  // namespace tidemill::http
