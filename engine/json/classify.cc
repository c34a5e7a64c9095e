#include "engine/json/classify.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>

namespace tidemill {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// The four hex digits at the beginning of `text`.
std::optional<std::uint32_t> hex4(std::string_view text) {
  std::uint32_t value = 0;
  if (text.size() < 4) return std::nullopt;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + 4, value, 16);
  if (ec != std::errc() || end != text.data() + 4) return std::nullopt;
  return value;
}

// After the closing quote of the string whose opening quote is at `at`.
std::size_t after_string(std::string_view text, std::size_t at) {
  for (++at; at < text.size() && text[at] != '"'; ++at)
    if (text[at] == '\\') ++at;
  return at + 1;
}

// The first thing wrong with the escapes of one string (without its quotes); nullopt: nothing.
std::optional<Rejection> judge_escapes(std::string_view s) {
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s[i] != '\\') continue;
    ++i;
    if (i == s.size()) return Rejection::invalid_json;
    if (std::string_view("\"\\/bfnrt").find(s[i]) != std::string_view::npos) continue;
    if (s[i] != 'u') return Rejection::invalid_json;
    const auto unit = hex4(s.substr(i + 1));
    if (!unit) return Rejection::invalid_json;
    i += 4;
    if (*unit >= 0xDC00 && *unit <= 0xDFFF) return Rejection::lone_surrogate;
    if (*unit < 0xD800 || *unit > 0xDBFF) continue;
    if (s.substr(i + 1, 2) != "\\u") return Rejection::lone_surrogate;
    const auto low = hex4(s.substr(i + 3));
    if (!low) return Rejection::invalid_json;
    if (*low < 0xDC00 || *low > 0xDFFF) return Rejection::lone_surrogate;
    i += 6;
  }
  return std::nullopt;
}

// A number token as it stands; nullopt: nothing wrong with it.
std::optional<Rejection> judge_number(std::string_view token) {
  std::size_t i = token.starts_with('-') ? 1 : 0;
  const std::size_t integer = i;
  while (i < token.size() && is_digit(token[i])) ++i;
  if (i == integer || (token[integer] == '0' && i - integer > 1)) return Rejection::invalid_json;
  if (i == token.size()) {
    std::int64_t low = 0;
    std::uint64_t high = 0;
    const char* const first = token.data();
    const char* const last = first + token.size();
    if (std::from_chars(first, last, low).ec == std::errc() || std::from_chars(first, last, high).ec == std::errc())
      return std::nullopt;
    return Rejection::integer_out_of_range;
  }
  if (token[i] == '.') {
    const std::size_t fraction = ++i;
    while (i < token.size() && is_digit(token[i])) ++i;
    if (i == fraction) return Rejection::invalid_json;
  }
  if (i < token.size() && (token[i] == 'e' || token[i] == 'E')) {
    ++i;
    if (i < token.size() && (token[i] == '+' || token[i] == '-')) ++i;
    const std::size_t exponent = i;
    while (i < token.size() && is_digit(token[i])) ++i;
    if (i == exponent) return Rejection::invalid_json;
  }
  if (i != token.size()) return Rejection::invalid_json;
  double value = 0;
  const auto ec = std::from_chars(token.data(), token.data() + token.size(), value).ec;
  // Too small is no reason to refuse: it reads as 0. from_chars gives the same code for both.
  if (ec == std::errc::result_out_of_range && token.find_first_of("eE") != std::string_view::npos &&
      token.find("e-") == std::string_view::npos && token.find("E-") == std::string_view::npos)
    return Rejection::number_out_of_range;
  if (ec == std::errc::result_out_of_range && token.find_first_of("eE") == std::string_view::npos)
    return Rejection::number_out_of_range;
  return std::nullopt;
}

}  // namespace

Rejection classify_bad_string(std::string_view text) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '"') continue;
    const std::size_t end = after_string(text, at);
    if (end > text.size()) return Rejection::invalid_json;
    if (const auto wrong = judge_escapes(text.substr(at + 1, end - at - 2))) return *wrong;
    at = end - 1;
  }
  return Rejection::invalid_json;
}

Rejection classify_bad_number(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '"') {
      at = after_string(text, at);
    } else if (text[at] == '-' || is_digit(text[at])) {
      const std::size_t end = text.find_first_of(" \t\r\n,:{}[]\"", at);
      const std::string_view token = text.substr(at, end == std::string_view::npos ? end : end - at);
      if (const auto wrong = judge_number(token)) return *wrong;
      at += token.size();
    } else {
      ++at;
    }
  }
  return Rejection::invalid_json;
}

}  // namespace tidemill
