#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "consumers/views/tokenizer.h"

namespace tidemill::views {

// One output column as written.
struct ItemText {
  std::span<const Token> expression;
  std::string alias;  // empty: none given
};

// The clauses of one definition, found by their words outside of parentheses.
struct Clauses {
  std::string name;  // of CREATE MATERIALIZED VIEW
  bool if_not_exists = false;
  std::string stream;
  std::string alias;  // of the stream; empty: none
  std::vector<ItemText> items;
  std::span<const Token> where;  // empty: none
  std::vector<std::span<const Token>> group_by;
};

// `tokens` must outlive the result. Refuses what a view cannot have, with the place and what to write instead.
SqlResult<Clauses> find_clauses(std::string_view sql, std::span<const Token> tokens);

}  // namespace tidemill::views
