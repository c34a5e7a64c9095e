#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/outbound/errors.h"

namespace tidemill::outbound {

// What the other side answered, whatever its status. A redirect is an answer like any other: nobody goes there.
struct Reply {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // as they came, in their order; without trailers
  std::string body;                                          // chunks taken off; an encoding is not
};

// Reads one reply from bytes as they come: 1xx are read over, what could be read in two ways is refused, and nothing
// grows beyond the limits whatever the other side claims. One thread.
class ReplyReader {
 public:
  ReplyReader(std::size_t head_bytes_max, std::size_t body_bytes_max, bool head_only);
  ~ReplyReader();
  // True: it is whole, and what follows it does not count. OutboundErrc::reply_invalid, head_too_large, body_too_large.
  Result<bool> feed(std::string_view bytes);
  // The other side has said that this was all. OutboundErrc::cut_off where it cannot be.
  Result<void> end();
  Reply take();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidemill::outbound
