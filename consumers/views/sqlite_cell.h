#pragma once

#include "consumers/views/cell.h"

struct sqlite3_value;

namespace tidemill::views {

// An SQLite value as a cell (a BLOB looks like text: ask its type before). Text is read as if it were a blob, for
// sqlite3_value_text copies whatever does not end in a zero byte; it lives as long as the value does.
Cell cell_of(sqlite3_value* v);

}  // namespace tidemill::views
