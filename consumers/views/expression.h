#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "consumers/views/parts.h"
#include "consumers/views/tokenizer.h"

namespace tidemill::views {

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

}  // namespace tidemill::views
