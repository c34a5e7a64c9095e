#include "tools/cli/printable.h"

#include <cstdint>

namespace tidemill::cli {
namespace {

struct Character {
  std::uint32_t code = 0;
  std::size_t bytes = 1;
  bool valid = false;
};

Character character_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1, true};
  const std::size_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() - at < bytes) return {};
  std::uint32_t code = first & (0xFFu >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3F);
  }
  // Longer than it need be, half of a pair, or beyond what there is: some programs would read another character.
  const bool longer = (bytes == 3 && code < 0x800) || (bytes == 4 && code < 0x10000);
  if (longer || (code >= 0xD800 && code <= 0xDFFF) || code > 0x10FFFF) return {};
  return {code, bytes, true};
}

bool harmless(std::uint32_t c) {
  const auto within = [c](std::uint32_t from, std::uint32_t to) { return c >= from && c <= to; };
  return !(c < 0x20 || within(0x7F, 0x9F) || c == 0x061C || within(0x200E, 0x200F) || within(0x2028, 0x202E) ||
           within(0x2066, 0x2069));
}

std::string shown(std::string_view text, bool lines) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const Character c = character_at(text, i);
    const bool kept = c.valid && (harmless(c.code) || (lines && c.code == '\n'));
    kept ? out.append(text.substr(i, c.bytes)) : out.append(1, ' ');
    i += c.bytes;
  }
  return out;
}

}  // namespace

std::string printable(std::string_view text) {
  return shown(text, false);
}

std::string printable_lines(std::string_view text) {
  return shown(text, true);
}

}  // namespace tidemill::cli
