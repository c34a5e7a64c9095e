#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/http/loop.h"
#include "api/http/message.h"

namespace tidemill::http {

struct Exchange;

// An answer that is sent piece by piece, without a known end (chunked). Any thread.
class Stream {
 public:
  virtual ~Stream() = default;
  // False: the client has gone, or there is no memory for it (`bytes` are as they were then).
  virtual bool try_write(std::string& bytes) = 0;
  bool write(std::string bytes) { return try_write(bytes); }
  virtual void finish() = 0;
  virtual void abort() = 0;                // closes the connection: the client sees that something is missing
  virtual std::size_t queued() const = 0;  // bytes handed over and not yet taken by the client's socket
  virtual bool gone() const = 0;
};

// The duty to answer one request. Owned by whoever answers; may be moved to another thread and used there. Answers of
// one connection go out in the order of its requests, whenever they are made. Dropped without an answer, it says 500.
class Responder {
 public:
  Responder() = default;
  explicit Responder(Exchange* exchange) : exchange_(exchange) {}
  Responder(Responder&& other) noexcept : exchange_(other.exchange_) { other.exchange_ = nullptr; }
  Responder& operator=(Responder&& other) noexcept {
    if (this != &other) {
      drop();
      exchange_ = other.exchange_;
      other.exchange_ = nullptr;
    }
    return *this;
  }
  ~Responder() { drop(); }
  explicit operator bool() const { return exchange_ != nullptr; }

  Loop& loop() const;
  // What the request counts as in metrics: an index of the server's Observer.
  void set_label(std::uint16_t label);

  // Further lines of the answer's head, each with its CR LF, whoever makes the answer. Replaces those set before. On
  // the loop's own thread.
  void set_headers(std::string_view lines);
  // Something that lives as long as the connection is open, for handlers to remember. Within Handler::handle() only.
  std::shared_ptr<void>& kept_by_connection();

  // Its connection has broken: nobody waits for the answer. Any thread.
  bool abandoned() const;

  // Memory for a piece of the answer (Limits::answer_bytes); nullopt: there is none left. Any thread.
  std::optional<Held> reserve(std::size_t bytes) const;

  // Any thread. An answer that there is no memory for becomes 429.
  void send(Response response);
  // The same with a body that many answers have in common: neither copied nor counted as memory of this one. `head` has
  // none of its own. On the loop's own thread.
  void send_shared(Response head, std::shared_ptr<const std::string> body);
  // The same without an allocation, for the loop's own thread.
  void send_here(int status, std::string_view content_type, std::string_view headers, std::string_view body,
                 bool close = false);
  // Begins an answer without a known length; its head goes out at once. On the loop's own thread.
  std::shared_ptr<Stream> stream(const Response& head);

 private:
  void drop();
  Exchange* exchange_ = nullptr;
};

}  // namespace tidemill::http
