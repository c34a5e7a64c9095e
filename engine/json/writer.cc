#include "engine/json/writer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace tidemill {
namespace {

// Length of the valid UTF-8 sequence at the beginning of `s` (RFC 3629: no overlong forms, no surrogates); 0: none.
std::size_t utf8_length(std::string_view s) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(i < s.size() ? s[i] : 0); };
  const auto tail = [&](std::size_t i) { return (at(i) & 0xC0) == 0x80; };
  const unsigned char c = at(0);
  if (c < 0x80) return 1;
  if (c >= 0xC2 && c <= 0xDF) return tail(1) ? 2 : 0;
  if (c >= 0xE0 && c <= 0xEF) {
    if (c == 0xE0 && at(1) < 0xA0) return 0;
    if (c == 0xED && at(1) > 0x9F) return 0;
    return tail(1) && tail(2) ? 3 : 0;
  }
  if (c >= 0xF0 && c <= 0xF4) {
    if (c == 0xF0 && at(1) < 0x90) return 0;
    if (c == 0xF4 && at(1) > 0x8F) return 0;
    return tail(1) && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  std::size_t plain = 0;  // from here on nothing was copied yet
  std::size_t i = 0;
  const auto flush = [&](std::string_view instead, std::size_t skip) {
    out.append(text.substr(plain, i - plain)).append(instead);
    i += skip;
    plain = i;
  };
  while (i < text.size()) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x80) {
      const std::size_t n = utf8_length(text.substr(i, 4));
      if (n == 0)
        flush("\xEF\xBF\xBD", 1);
      else
        i += n;
    } else if (c == '"') {
      flush("\\\"", 1);
    } else if (c == '\\') {
      flush("\\\\", 1);
    } else if (c == '\n') {
      flush("\\n", 1);
    } else if (c == '\r') {
      flush("\\r", 1);
    } else if (c == '\t') {
      flush("\\t", 1);
    } else if (c < 0x20 || c == 0x7F) {
      const char escape[] = {'\\', 'u', '0', '0', kHex[c >> 4], kHex[c & 15]};
      flush({escape, sizeof escape}, 1);
    } else {
      ++i;
    }
  }
  flush("", 0);
  out += '"';
}

void JsonWriter::separate() {
  if (comma_) out_ += ',';
  comma_ = true;
}

void append_bytes_json(std::string& out, std::string_view bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  out += "{\"_base64\":\"";
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) group = group << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k) out += k <= n ? kDigits[group >> (18 - 6 * k) & 63] : '=';
  }
  out += "\"}";
}

JsonWriter& JsonWriter::open(char c) {
  separate();
  out_ += c;
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::close(char c) {
  out_ += c;
  comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::name(std::string_view name) {
  separate();
  append_json_string(out_, name);
  out_ += ':';
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
  separate();
  append_json_string(out_, text);
  return *this;
}

JsonWriter& JsonWriter::raw(std::string_view json) {
  separate();
  out_ += json;
  return *this;
}

JsonWriter& JsonWriter::value(std::uint64_t number) {
  std::array<char, 24> text;
  const auto [end, ec] = std::to_chars(text.data(), text.data() + text.size(), number);
  return raw({text.data(), end});
}

JsonWriter& JsonWriter::value(std::int64_t number) {
  std::array<char, 24> text;
  const auto [end, ec] = std::to_chars(text.data(), text.data() + text.size(), number);
  return raw({text.data(), end});
}

JsonWriter& JsonWriter::value(double number) {
  if (!std::isfinite(number)) return null();
  std::array<char, 32> text;
  const auto [end, ec] = std::to_chars(text.data(), text.data() + text.size(), number);
  return raw({text.data(), end});
}

}  // namespace tidemill
