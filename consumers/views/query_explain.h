#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct sqlite3_stmt;

namespace tidemill::views {

// EXPLAIN SELECT (VALUES, WITH): what stands behind EXPLAIN, from its offset on. nullopt: the statement is none, or is
// EXPLAIN QUERY PLAN, which is SQLite's own.
std::optional<std::size_t> explained_from(std::string_view sql);

// Lines that say how a statement reads its views. `plan`: its EXPLAIN QUERY PLAN, ready to run; `sql`: the statement
// itself. nullopt: it could not be run.
std::optional<std::vector<std::string>> explain_in_words(sqlite3_stmt* plan, std::string_view sql);

// Stands in a view's plan between what the table made of it and what it says of it in words.
inline constexpr char kInWords = '|';

}  // namespace tidemill::views
