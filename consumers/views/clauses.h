#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "consumers/views/statement.h"
#include "consumers/views/tokenizer.h"

namespace tidemill::views {

// One output column as written.
struct ItemText {
  std::span<const Token> expression;
  std::string alias;  // empty: none given
};

// json_each(...) behind the stream in FROM.
struct ElementsText {
  std::span<const Token> arguments;
  std::string alias;      // json_each where none is given
  bool optional = false;  // LEFT JOIN: a record without elements gives a row, too
};

// Another view behind the stream in FROM: what each record is looked up in.
struct LookupText {
  std::string view;
  std::string alias;          // the view's name where none is given
  bool optional = false;      // LEFT JOIN: a record that finds nothing gives a row, too
  std::span<const Token> on;  // empty: none
  std::size_t at = 0;         // offset of the view's name
};

// The clauses of one definition, found by their words outside of parentheses.
struct Clauses {
  std::string name;        // of CREATE MATERIALIZED VIEW, or CREATE STREAM
  bool of_stream = false;  // CREATE STREAM: an output column may be *, and there is no GROUP BY
  bool if_not_exists = false;
  ExpiryText expiry;
  bool lineage = true;
  std::string stream;
  std::string alias;  // of the stream; empty: none
  std::optional<ElementsText> elements;
  std::vector<LookupText> lookups;
  std::vector<ItemText> items;
  std::span<const Token> where;  // empty: none
  std::vector<std::span<const Token>> group_by;
};

// `tokens` must outlive the result. Refuses what a view cannot have, with the place and what to write instead.
SqlResult<Clauses> find_clauses(std::string_view sql, std::span<const Token> tokens);

}  // namespace tidemill::views
