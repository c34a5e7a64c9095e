#include "consumers/views/tokenizer.h"

#include <algorithm>

namespace tidemill::views {
namespace {

char upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_hex(char c) {
  return is_digit(c) || (upper(c) >= 'A' && upper(c) <= 'F');
}
bool starts_word(char c) {
  return (upper(c) >= 'A' && upper(c) <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
bool continues_word(char c) {
  return starts_word(c) || is_digit(c) || c == '$';
}

// The end of a quoted token that begins at `i`, or npos. Doubled quotes stand for one, except in [x].
std::size_t end_of_quoted(std::string_view sql, std::size_t i) {
  char close = sql[i] == '[' ? ']' : sql[i];
  for (++i; i < sql.size(); ++i) {
    if (sql[i] != close) continue;
    if (close != ']' && i + 1 < sql.size() && sql[i + 1] == close) {
      ++i;
      continue;
    }
    return i + 1;
  }
  return std::string_view::npos;
}

std::size_t end_of_number(std::string_view sql, std::size_t i) {
  auto at = [&](std::size_t k) { return k < sql.size() ? sql[k] : '\0'; };
  if (at(i) == '0' && upper(at(i + 1)) == 'X' && is_hex(at(i + 2))) {
    for (i += 2; is_hex(at(i));) ++i;
    return i;
  }
  while (is_digit(at(i))) ++i;
  if (at(i) == '.') {
    ++i;
    while (is_digit(at(i))) ++i;
  }
  if (upper(at(i)) == 'E' && (is_digit(at(i + 1)) || ((at(i + 1) == '+' || at(i + 1) == '-') && is_digit(at(i + 2))))) {
    i += 2;
    while (is_digit(at(i))) ++i;
  }
  return i;
}

}  // namespace

std::string to_upper(std::string_view s) {
  std::string out(s);
  std::transform(out.begin(), out.end(), out.begin(), upper);
  return out;
}

std::string to_lower(std::string_view s) {
  std::string out(s);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return upper(x) == upper(y); });
}

bool Token::is_word(std::string_view word) const {
  return kind == TokenKind::word && equal_ignoring_case(text, word);
}

std::string Token::name() const {
  if (kind != TokenKind::quoted && kind != TokenKind::string) return std::string(text);
  std::string out;
  char close = text.back();
  for (std::size_t i = 1; i + 1 < text.size(); ++i) {
    out += text[i];
    if (text[i] == close && close != ']') ++i;  // doubled
  }
  return out;
}

SqlError error_at(std::string_view sql, std::size_t offset, std::string_view sentence, std::string_view code) {
  offset = std::min(offset, sql.size());
  std::string_view before = sql.substr(0, offset);
  auto line = std::count(before.begin(), before.end(), '\n') + 1;
  auto start = before.rfind('\n');
  std::string_view tail = start == std::string_view::npos ? before : before.substr(start + 1);
  // Columns count characters, not bytes: bytes that continue a UTF-8 character are left out.
  auto column = std::count_if(tail.begin(), tail.end(), [](char c) { return (c & 0xC0) != 0x80; }) + 1;
  return {std::string(code),
          "line " + std::to_string(line) + ", column " + std::to_string(column) + ": " + std::string(sentence)};
}

SqlResult<std::vector<Token>> tokenize(std::string_view sql) {
  std::vector<Token> out;
  std::size_t i = 0;
  auto at = [&](std::size_t k) { return k < sql.size() ? sql[k] : '\0'; };
  while (i < sql.size()) {
    char c = sql[i];
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f') {
      ++i;
      continue;
    }
    if (c == '-' && at(i + 1) == '-') {
      i = std::min(sql.find('\n', i), sql.size());
      continue;
    }
    if (c == '/' && at(i + 1) == '*') {
      auto end = sql.find("*/", i + 2);
      if (end == std::string_view::npos) return error_at(sql, i, "This comment is not closed: add */.");
      i = end + 2;
      continue;
    }
    std::size_t start = i;
    auto push = [&](TokenKind kind, std::size_t end) {
      out.push_back({kind, sql.substr(start, end - start), start});
      i = end;
    };
    if (c == '\'' || c == '"' || c == '[' || c == '`') {
      auto end = end_of_quoted(sql, i);
      if (end == std::string_view::npos) return error_at(sql, i, "This quote is not closed.");
      push(c == '\'' ? TokenKind::string : TokenKind::quoted, end);
    } else if (upper(c) == 'X' && at(i + 1) == '\'') {
      auto end = end_of_quoted(sql, i + 1);
      if (end == std::string_view::npos) return error_at(sql, i, "This quote is not closed.");
      push(TokenKind::blob, end);
    } else if (is_digit(c) || (c == '.' && is_digit(at(i + 1)))) {
      auto end = end_of_number(sql, i);
      if (continues_word(at(end))) {
        return error_at(
            sql, i,
            "A number cannot be followed by letters: a name that begins with a digit is written in double quotes.");
      }
      push(TokenKind::number, end);
    } else if (starts_word(c)) {
      auto end = i + 1;
      while (end < sql.size() && continues_word(sql[end])) ++end;
      push(TokenKind::word, end);
    } else if (c == '?' || ((c == ':' || c == '@' || c == '$') && (continues_word(at(i + 1))))) {
      auto end = i + 1;
      while (end < sql.size() && continues_word(sql[end])) ++end;
      push(TokenKind::parameter, end);
    } else {
      static constexpr std::string_view kLong[] = {"->>", "->", "||", "<=", "<>", "<<", ">=", ">>", "==", "!="};
      std::size_t length = 0;
      for (std::string_view symbol : kLong) {
        if (sql.substr(i, symbol.size()) == symbol) {
          length = symbol.size();
          break;
        }
      }
      if (length == 0 && std::string_view("()*,.;+-/%<>=&|~").find(c) != std::string_view::npos) length = 1;
      if (length == 0) return error_at(sql, i, "SQL has no such character.");
      push(TokenKind::symbol, i + length);
    }
  }
  return out;
}

std::string quoted_name(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

}  // namespace tidemill::views
