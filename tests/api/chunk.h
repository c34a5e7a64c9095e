#pragma once

#include <optional>
#include <string>

#include "tests/api/api_world.h"

namespace tidemill {

// The next chunk of an answer without its framing; empty: the last one. None: the answer broke off.
inline std::optional<std::string> next_chunk(RawClient& client) {
  const std::string line = client.until("\r\n");
  if (line.empty()) return {};
  const std::size_t size = std::stoul(line, nullptr, 16);
  while (client.unread().size() < size + 2) {
    if (!client.more()) return {};
  }
  std::string text = client.unread().substr(0, size);
  client.unread().erase(0, size + 2);
  return text;
}

// What a tail sends next: whole events, as their lines. Empty: its end.
inline std::string event(RawClient& tail) {
  return next_chunk(tail).value_or("");
}

}  // namespace tidemill
