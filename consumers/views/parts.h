#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace tidemill::views {

// One token of an expression after names were understood. No tree: the two statements are the user's own tokens with
// columns, aggregate calls and group terms exchanged for others.
struct Part {
  enum class Kind : std::uint8_t {
    column,     // text is the name of the field, exactly
    function,   // followed by its parenthesis
    keyword,    // upper case
    literal,    // string, number, NULL, TRUE, FALSE
    symbol,     // operators and punctuation
    aggregate,  // index of the call; its tokens are in AggregateDraft
    stored,     // index of a stored column
    element,    // key, value or type of json_each
    lookup,     // column of a view that is looked up; index is the view's
  };
  Kind kind;
  std::string text;
  std::size_t offset;  // in the definition
  std::uint32_t index = 0;

  bool is(std::string_view symbol) const { return kind == Kind::symbol && text == symbol; }
  bool operator==(const Part& other) const { return kind == other.kind && text == other.text && index == other.index; }
};
using Parts = std::vector<Part>;

// Whether the parenthesis at `open` is closed by the last part.
bool encloses(std::span<const Part> parts, std::size_t open);
Parts without_outer_parentheses(Parts parts);
// One operand whatever stands around it: its tokens may be exchanged anywhere.
bool is_primary(const Parts& parts);
// `parts` with the stored column `stored` wherever `term` stands as an expression of its own.
Parts exchange(const Parts& parts, const Parts& term, std::uint32_t stored);

// The type of an expression's result, as far as tokens tell: integer, real, text, json, any. `column_type` gives a
// field's, and a looked up one's; `stored` parts are not looked into.
std::string infer_type(std::span<const Part> parts, const std::function<std::string(const Part&)>& column_type);

// A generated statement, and from where in the definition each piece came: SQLite's complaints get the user's line.
class Rendered {
 public:
  void add(std::string_view text) { sql_ += text; }
  void add(const Part& part, std::string_view text);
  const std::string& sql() const { return sql_; }
  std::size_t origin(int offset) const;  // in the definition

 private:
  std::string sql_;
  std::vector<std::pair<std::size_t, std::size_t>> origins_;  // offset here, offset there
};

}  // namespace tidemill::views
