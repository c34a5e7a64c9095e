#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "api/http/body_memory.h"
#include "api/http/limits.h"
#include "api/http/pace.h"
#include "api/http/page_pool.h"
#include "api/http/parser.h"
#include "api/http/server.h"
#include "api/http/tls_stream.h"

// Behind Server only: what Asio's headers need to be seen for.
namespace tidemill::http {

namespace asio = boost::asio;
using Executor1 = asio::io_context::executor_type;  // not type-erased: fewer calls per operation
using Socket = asio::basic_stream_socket<asio::ip::tcp, Executor1>;
using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor1>;
using SteadyTime = std::chrono::steady_clock::time_point;

class Connection;
class IoLoop;
class StreamImpl;

inline constexpr std::size_t kInitial = PagePool::kPage;  // the buffers of a connection that has nothing large to say
inline constexpr std::size_t kLarge = 64 << 10;           // buffers above it count against Limits::memory_bytes
inline constexpr std::size_t kFilled = 16 << 10;          // and of one whose requests fill that at once

// What stands next to each other in an answer: bytes of its own, or what many answers have in common and is held once.
struct Part {
  Part() = default;
  Part(Piece own) : piece(std::move(own)) {}  // NOLINT(google-explicit-constructor)
  explicit Part(std::shared_ptr<const std::string> everybodys) : shared(std::move(everybodys)) {}
  std::string_view view() const { return shared ? std::string_view(*shared) : std::string_view(piece.bytes); }

  Piece piece;
  std::shared_ptr<const std::string> shared;  // instead of it
};

// A request that a handler has, and its place in the connection's order. Pooled by its loop; touched on that thread
// only, but for what Responder reads of it (loop, orphan).
struct Exchange {
  IoLoop* loop = nullptr;
  std::shared_ptr<Connection> connection;
  Exchange* next = nullptr;
  std::string wire;         // its answer, while it is not its turn
  std::vector<Part> parts;  // what follows it
  std::string headers;      // further lines of its head, whatever the answer is
  int status = 0;           // of a stream
  std::size_t counted = 0;  // of it, in its connection's queued_bytes_
  SteadyTime begun{};
  std::uint16_t label = 0;
  bool done = false;
  bool closes = false;  // the connection ends after this answer
  bool head_only = false;
  bool keep_alive = true;
  bool http_10 = false;
  std::atomic<bool> orphan{false};  // its connection has ended or will after an earlier answer
  std::shared_ptr<StreamImpl> stream;

  std::size_t unsent() const;  // bytes of its answer, as far as it is made
};

// What all loops share.
struct Shared {
  explicit Shared(Handler& h) : handler(h) {}
  Handler& handler;
  Metrics metrics;
  std::atomic<bool> draining{false};
  std::atomic<std::size_t> exchanges{0};  // with handlers
  BodyMemory memory;                      // of large receive buffers
  Budget answers;                         // of what follows the heads of answers
  std::atomic<std::size_t> open{0};
  mutable std::mutex mutex;
  Limits limits;
  std::atomic<std::uint64_t> limits_version{1};
  std::shared_ptr<const TlsContext> tls;  // under the mutex
  bool speaks_tls = false;                // never changes once it serves
};

class IoLoop final : public Loop {
 public:
  IoLoop(std::size_t index, Shared& shared);
  ~IoLoop() override;

  void post(Task task) override;
  void post_after(std::chrono::nanoseconds delay, Task task) override;
  std::size_t index() const override { return index_; }
  bool running_here() const override;

  void run();  // the thread's body
  void adopt(Socket socket);
  asio::io_context& context() { return context_; }
  Shared& shared() { return shared_; }
  const Limits& limits() const { return limits_; }
  std::string_view date();

  Exchange* take_exchange();
  void give_back(Exchange* exchange);
  void dirty(const std::shared_ptr<Connection>& connection);
  void begin_batch() {
    if (batch_++ == 0) now_ = std::chrono::steady_clock::now();
  }
  SteadyTime now() const { return now_; }  // when this batch began: one look at the clock for all that is in it
  void end_batch();
  void remove(Connection* connection);
  void close_all();
  std::size_t busy() const;
  PagePool& pages() { return pages_; }

 private:
  void sweep();
  void flush_dirty();
  void arm();

  const std::size_t index_;
  Shared& shared_;
  PagePool pages_;  // outlives all connections, also those that only a handler of the context still holds
  asio::io_context context_{1};
  asio::executor_work_guard<Executor1> work_{context_.get_executor()};
  Timer sweeper_{context_};
  Limits limits_;
  std::uint64_t limits_version_ = 0;
  std::vector<std::shared_ptr<Connection>> connections_;
  std::vector<std::shared_ptr<Connection>> dirty_;
  std::vector<std::shared_ptr<Connection>> flushing_;
  std::size_t held_ = 0;  // by connections, at the last sweep
  Exchange* free_ = nullptr;
  std::size_t free_count_ = 0;
  int batch_ = 0;
  SteadyTime now_ = std::chrono::steady_clock::now();
  bool flush_posted_ = false;
  bool closed_ = false;
  std::string date_;
  std::time_t date_second_ = 0;
};

// One client. Lives on its loop's thread. Owned by the loop's list, its coroutine and its unanswered exchanges.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(IoLoop& loop, Socket socket, std::shared_ptr<const TlsContext> tls);
  const std::string& address();
  ~Connection();

  asio::awaitable<void, Executor1> run(std::shared_ptr<Connection> self);
  void answer(Exchange* e, int status, std::string_view type, std::string_view headers, std::string_view body,
              Response* owned, bool close, std::shared_ptr<const std::string> shared = {});
  std::shared_ptr<Stream> begin_stream(Exchange* e, const Response& head);
  void stream_bytes(Exchange* e, Piece piece);
  void stream_end(Exchange* e, bool abort);
  void flush();
  void sweep(SteadyTime now);
  void close(bool abruptly = false);
  bool idle() const { return !head_ && out_bytes_ == 0; }
  std::size_t held() const;  // bytes of buffers, in and out
  IoLoop& loop() { return loop_; }

  std::shared_ptr<void> kept;  // a handler's, as long as the connection is open
  std::size_t slot = 0;        // in the loop's list
  bool is_dirty = false;

 private:
  enum class Phase { handshake, idle, header, body, discarding };

  void handshake_ended(TlsStream::State state);
  bool make_room(bool filled);
  std::size_t most_needed() const;
  bool resize_within_memory(std::size_t capacity);
  void free_buffer();
  void forget(std::size_t from, std::size_t to);
  void forget_head();
  void park();
  ssize_t send(const iovec* pieces, std::size_t count);
  void say_no_more();
  void resize(std::size_t capacity);
  void consume();
  void waiting_for_more();
  bool turned_away();
  void dispatch();
  void refuse(ErrorId id, std::chrono::nanoseconds retry_after = {});
  Exchange* new_exchange();
  void set_phase(Phase phase);
  bool overloaded() const;
  void maybe_resume();

  void finished(Exchange* e, int status);
  void pop_done();
  void abandon_queue();
  void queued(Exchange* e);
  void owes();
  void append(std::string_view text);
  void append(Part part);
  void write_head(std::string& to, Exchange* e, int status, std::string_view type, std::string_view headers,
                  std::ptrdiff_t length, bool close);
  void took(std::size_t sent);
  void flush_later();
  void wait_writable();

  IoLoop& loop_;
  Socket socket_;
  std::string address_;  // of the other side; from the first request on
  Timer resume_;
  RequestParser parser_;
  std::unique_ptr<TlsStream> tls_;  // nullptr: HTTP without TLS

  // What has come: [begin_, parsed_) is of the request at hand, [parsed_, end_) is not parsed yet.
  char* in_ = nullptr;  // of capacity_ bytes: a page of the loop's, or larger and of the heap
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t parsed_ = 0;
  std::size_t end_ = 0;

  // Answers.
  Exchange* head_ = nullptr;
  Exchange* tail_ = nullptr;
  std::size_t pending_ = 0;
  std::deque<Part> out_;          // the last one is for appending to, and counts with the small
  std::size_t out_at_ = 0;        // of the first piece, already sent
  std::size_t out_bytes_ = 0;     // unsent
  std::size_t queued_bytes_ = 0;  // of answers whose turn it is not yet

  Phase phase_ = Phase::idle;
  SteadyTime phase_since_{};
  SteadyTime write_since_{};  // the client took something last, or was owed nothing before
  Pace body_pace_;            // of what comes of a body
  Pace owed_pace_;            // of what it takes of its answers
  std::uint64_t owed_taken_ = 0;
  std::uint64_t requests_ = 0;
  std::size_t discarded_ = 0;
  bool parked_ = true;         // waits for bytes without a buffer for them
  bool writing_ = false;       // waits until the socket takes more
  bool closing_ = false;       // the last answer is in out_ or sent
  bool stop_reading_ = false;  // no further request is looked at
  bool waiting_ = false;       // the coroutine waits for answers to go
  bool eof_ = false;
  bool dead_ = false;
  bool continue_sent_ = false;
  bool cut_short_ = false;  // what has come was not looked at to its end: too much was unanswered
};

// Posts to the loop; what it knows of the connection are two atomics.
class StreamImpl final : public Stream {
 public:
  StreamImpl(IoLoop& loop, Exchange* exchange) : loop_(loop), exchange_(exchange) {}
  ~StreamImpl() override { end(true); }
  bool try_write(std::string& bytes) override;
  void finish() override { end(false); }
  void abort() override { end(true); }
  std::size_t queued() const override { return posted_->load() + backlog_.load(); }
  bool gone() const override { return gone_.load(); }

  std::atomic<std::size_t> backlog_{0};  // in the connection
  std::atomic<bool> gone_{false};

 private:
  void end(bool abort);
  IoLoop& loop_;
  Exchange* exchange_;
  std::shared_ptr<std::atomic<std::size_t>> posted_ = std::make_shared<std::atomic<std::size_t>>(0);
  std::atomic<bool> ended_{false};
};

}  // namespace tidemill::http
