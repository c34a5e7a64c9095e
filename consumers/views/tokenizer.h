#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "consumers/views/views.h"

namespace tidemill::views {

enum class TokenKind : std::uint8_t {
  word,       // unquoted: a keyword, a column, a function
  quoted,     // "x", [x], `x`: always a name
  string,     // 'x'
  number,     // 1, 1.5e3, 0x1F
  blob,       // x'00'
  parameter,  // ?, ?1, :a, @a, $a
  symbol,     // operators and punctuation
};

// A token of SQLite's language; white space and comments are dropped. `text` views the source.
struct Token {
  TokenKind kind;
  std::string_view text;
  std::size_t offset;

  bool is(char symbol) const { return kind == TokenKind::symbol && text.size() == 1 && text[0] == symbol; }
  bool is_word(std::string_view upper) const;  // ASCII, any case
  bool is_name() const { return kind == TokenKind::word || kind == TokenKind::quoted; }
  std::string name() const;  // without quotes, doubled quotes undone
};

// An error at a place of the text: "line 2, column 8: ...".
SqlError error_at(std::string_view sql, std::size_t offset, std::string_view sentence,
                  std::string_view code = "invalid_view");

// Fails on an unclosed quote or comment and on characters that SQL does not have.
SqlResult<std::vector<Token>> tokenize(std::string_view sql);

std::string to_upper(std::string_view s);  // ASCII
std::string to_lower(std::string_view s);
bool equal_ignoring_case(std::string_view a, std::string_view b);
std::string quoted_name(std::string_view name);  // in double quotes

}  // namespace tidemill::views
