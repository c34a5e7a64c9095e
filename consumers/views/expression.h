#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "consumers/views/tokenizer.h"

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
  };
  Kind kind;
  std::string text;
  std::size_t offset;  // in the definition
  std::uint32_t index = 0;

  bool is(std::string_view symbol) const { return kind == Kind::symbol && text == symbol; }
  bool operator==(const Part& other) const { return kind == other.kind && text == other.text && index == other.index; }
};
using Parts = std::vector<Part>;

struct AggregateDraft {
  std::string function;
  bool distinct = false;
  bool star = false;
  std::vector<Parts> arguments;
  std::optional<Parts> filter;
  std::string text;
  std::size_t offset = 0;
  bool same_as(const AggregateDraft& other) const;
};

// Reads expressions of one definition: checks every name, function and keyword, and collects the aggregate calls.
class ExpressionReader {
 public:
  // `source`: what may stand before the dot of a column: the stream's name and its alias.
  ExpressionReader(std::string_view sql, std::vector<std::string> source);

  enum class Where { output, where, group_by, argument, filter };
  SqlResult<Parts> read(std::span<const Token> tokens, Where where);

  std::vector<AggregateDraft> aggregates;  // of the output list, equal calls once

 private:
  std::optional<SqlError> read_into(std::span<const Token> tokens, Where where, Parts& out);
  std::optional<SqlError> read_aggregate(std::span<const Token> tokens, std::size_t& i, Parts& out);
  std::optional<SqlError> check_function(std::span<const Token> tokens, std::size_t i);
  std::optional<SqlError> check_time_function(std::span<const Token> tokens, std::size_t i);
  SqlError error(const Token& at, std::string_view sentence, std::string_view code = "invalid_view") const;
  std::string source_text(std::span<const Token> tokens) const;

  std::string_view sql_;
  std::vector<std::string> source_;
};

// The index of the parenthesis that closes tokens[open]; tokens.size() if none does.
std::size_t closing(std::span<const Token> tokens, std::size_t open);
// Cuts at commas outside of parentheses. Empty for no tokens.
std::vector<std::span<const Token>> split_list(std::span<const Token> tokens);

// The type of an expression's result, as far as tokens tell: integer, real, text, json, any. `column_type` gives a
// field's; `stored` parts are not looked into.
std::string infer_type(std::span<const Part> parts, const std::function<std::string(const std::string&)>& column_type);

}  // namespace tidemill::views
