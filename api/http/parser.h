#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "api/errors/catalogue.h"
#include "api/http/limits.h"
#include "api/http/message.h"

namespace tidemill::http {

// HTTP/1.x requests out of a buffer that its owner keeps: Beast's parser, fed by `put`, with callbacks that remember
// views of the buffer and nothing else. Stricter than Beast: see the reasons in parser.cc. One request at a time; one
// thread.
class RequestParser {
 public:
  RequestParser();
  ~RequestParser();

  void begin(const Limits& limits);  // a new request; before anything else
  void park();                       // between requests: gives its memory back, begin() follows
  bool parked() const { return !impl_; }

  enum class Step { need_more, complete, refused };
  // Takes what it can from the front of `data`, which stays where it is (a chunked body is moved together in place).
  Step feed(char* data, std::size_t size, std::size_t& taken);
  // The buffer has moved: whatever was remembered lies `to - from` further now. Also parked.
  void moved(const char* from, const char* to);

  const Request& request() const;  // once complete
  // Once the head has come and the body has not, as a request with `body_unread`; nullptr: its target cannot be read.
  const Request* head();
  void set_peer(const PeerCertificate* peer);
  void set_address(std::string_view address);
  ErrorId refusal() const;  // why not; whatever follows on the connection cannot be understood
  bool started() const;     // has taken something
  bool header_done() const;
  bool wants_continue() const;  // Expect: 100-continue
  bool keep_alive() const;
  bool http_10() const;
  bool is_head() const;
  std::uint64_t body_taken() const;
  // What the body takes of the owner's buffer at most, from where it begins, once the head has come: as long as it says
  // it is, or all that a chunked one may be with the framing at hand.
  std::size_t body_room() const;
  // Where the body that was taken so far begins and ends, in the owner's buffer; nullptr before it begins. What lies
  // between its end and the first unread byte framed chunks, and may be overwritten. Also parked.
  const char* body_begin() const;
  const char* body_end() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidemill::http
