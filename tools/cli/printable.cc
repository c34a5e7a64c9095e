#include "tools/cli/printable.h"

#include <cstdint>

#include "storage/base/unicode.h"

namespace tidemill::cli {
namespace {

bool harmless(std::uint32_t c) {
  const auto within = [c](std::uint32_t from, std::uint32_t to) { return c >= from && c <= to; };
  return !(c < 0x20 || within(0x7F, 0x9F) || c == 0x061C || within(0x200E, 0x200F) || within(0x2028, 0x202E) ||
           within(0x2066, 0x2069));
}

std::string shown(std::string_view text, bool lines) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Character c = utf8_character(text, i);
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
