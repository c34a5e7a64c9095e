#include "engine/position.h"

#include <charconv>

namespace tidemill {

std::string Position::encode() const {
  return std::to_string(sequence_.value());
}

std::optional<Position> Position::decode(std::string_view text) {
  std::uint64_t n = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (ec != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return Position::through(Sequence(n));
}

}  // namespace tidemill
