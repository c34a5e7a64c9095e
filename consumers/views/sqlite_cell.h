#pragma once

#include "consumers/views/cell.h"

struct sqlite3_context;
struct sqlite3_stmt;
struct sqlite3_value;

namespace tidemill::views {

inline constexpr unsigned kJsonSubtype = 'J';  // how SQLite marks text that is JSON

// An SQLite value as a cell (a BLOB looks like text: ask its type before). Text is read as if it were a blob, for
// sqlite3_value_text copies whatever does not end in a zero byte; it lives as long as the value does.
Cell cell_of(sqlite3_value* v);

// A cell as a parameter (its text is not copied: it must live while the statement runs), and as the result of a column,
// whose text is copied, or kept until the next step. JSON results are marked as such for SQLite's own functions.
enum class TextIs { kept, copied };
void bind_cell(sqlite3_stmt* statement, int index, const Cell& cell);
void result_cell(sqlite3_context* context, const Cell& cell, TextIs text);

}  // namespace tidemill::views
