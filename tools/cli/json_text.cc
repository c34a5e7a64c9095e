#include "tools/cli/json_text.h"

namespace tidemill::cli {
namespace {

std::size_t skip_blanks(std::string_view s, std::size_t i) {
  while (i < s.size() && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r')) ++i;
  return i;
}

// Behind the string that begins at `i`.
std::size_t skip_string(std::string_view s, std::size_t i) {
  for (++i; i < s.size() && s[i] != '"'; ++i)
    if (s[i] == '\\') ++i;
  return i < s.size() ? i + 1 : s.size();
}

// Behind the value that begins at `i`.
std::size_t skip_value(std::string_view s, std::size_t i) {
  int depth = 0;
  while (i < s.size()) {
    const char c = s[i];
    if (c == '"') {
      i = skip_string(s, i);
      if (depth == 0) return i;
      continue;
    }
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') {
      if (depth == 0) return i;
      if (--depth == 0) return i + 1;
    }
    if (depth == 0 && (c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r')) return i;
    ++i;
  }
  return i;
}

}  // namespace

std::string_view json_member(std::string_view s, std::string_view name) {
  std::size_t i = skip_blanks(s, 0);
  if (i >= s.size() || s[i] != '{') return {};
  ++i;
  while (true) {
    i = skip_blanks(s, i);
    if (i >= s.size() || s[i] != '"') return {};
    const std::size_t name_end = skip_string(s, i);
    const bool found = name_end - i == name.size() + 2 && s.substr(i + 1, name.size()) == name;
    i = skip_blanks(s, name_end);
    if (i >= s.size() || s[i] != ':') return {};
    i = skip_blanks(s, i + 1);
    const std::size_t end = skip_value(s, i);
    if (found) return s.substr(i, end - i);
    i = skip_blanks(s, end);
    if (i >= s.size() || s[i] != ',') return {};
    ++i;
  }
}

}  // namespace tidemill::cli
