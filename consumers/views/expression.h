#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "consumers/views/parts.h"
#include "consumers/views/tokenizer.h"

namespace tidemill::views {

// The most that collect keeps, and what it keeps where nothing is said; keys that map shows.
inline constexpr std::uint64_t kJsonLimit = 10'000;

struct AggregateDraft {
  std::string function;
  bool distinct = false;
  bool star = false;
  double fraction = 0;      // of quantile
  std::uint64_t limit = 0;  // of collect: how many values are kept; of map: how many keys are shown
  std::vector<Parts> arguments;
  std::optional<Parts> filter;
  std::string text;
  std::size_t offset = 0;
  bool same_as(const AggregateDraft& other) const;
};

// The columns of a view that is looked up, under the name that the definition gives it.
struct LookedUpColumns {
  std::string alias;
  std::vector<Column> columns;
};

// Reads expressions of one definition: checks every name, function and keyword, and collects the aggregate calls.
class ExpressionReader {
 public:
  // `source`: what may stand before the dot of a column: the stream's name and its alias.
  ExpressionReader(std::string_view sql, std::vector<std::string> source);

  // `rows`: a condition over the rows of a view, not over records.
  enum class Where { output, where, group_by, argument, filter, from, on, rows };
  SqlResult<Parts> read(std::span<const Token> tokens, Where where);
  // From here on key, value and type are json_each's, which goes by this name.
  void read_elements_as(std::string alias) { elements_ = std::move(alias); }

  // From here on its columns can be named, with its name in front.
  void look_up(LookedUpColumns view) { lookups.push_back(std::move(view)); }

  std::vector<AggregateDraft> aggregates;  // of the output list, equal calls once
  std::set<std::string> bare_elements;     // key, value, type where no name stood before
  std::vector<LookedUpColumns> lookups;

 private:
  std::optional<SqlError> read_into(std::span<const Token> tokens, Where where, Parts& out);
  std::optional<SqlError> read_aggregate(std::span<const Token> tokens, std::size_t& i, Parts& out);
  SqlResult<Part> lookup_column(const Token& before, const Token& column) const;
  const LookedUpColumns* lookup_named(std::string_view name) const;
  std::optional<SqlError> check_function(std::span<const Token> tokens, std::size_t i);
  std::optional<SqlError> check_time_function(std::span<const Token> tokens, std::size_t i);
  SqlError error(const Token& at, std::string_view sentence, std::string_view code = "invalid_view") const;
  std::string_view why_the_same() const;
  std::string source_text(std::span<const Token> tokens) const;

  std::string_view sql_;
  std::vector<std::string> source_;
  std::string elements_;  // empty: there is no json_each
  bool rows_ = false;     // what is read is Where::rows
};

// The index of the parenthesis that closes tokens[open]; tokens.size() if none does.
std::size_t closing(std::span<const Token> tokens, std::size_t open);
// Cuts at commas outside of parentheses. Empty for no tokens.
std::vector<std::span<const Token>> split_list(std::span<const Token> tokens);

}  // namespace tidemill::views
