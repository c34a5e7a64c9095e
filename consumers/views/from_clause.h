#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "consumers/views/clauses.h"
#include "consumers/views/tokenizer.h"

namespace tidemill::views {

// Words that begin a clause, or end the FROM clause, outside of parentheses.
bool is_clause_word(const Token& token);
// From `at`, which moves on, to the next such word.
std::span<const Token> until_clause(std::span<const Token> tokens, std::size_t& at);

// What may stand behind the stream, and does from `at` on, which moves on: json_each(...), and views to look up. What
// is neither stays where it is, to be refused; lookups of a derived stream, too.
std::optional<SqlError> read_behind_stream(std::string_view sql, std::span<const Token> tokens, std::size_t& at,
                                           Clauses& out);

}  // namespace tidemill::views
