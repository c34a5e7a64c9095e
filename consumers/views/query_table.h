#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "consumers/views/database.h"
#include "consumers/views/view.h"

struct sqlite3;

namespace tidemill::views {

// The values that a statement may compare with a key as a number although the key is text: '017' = CAST('17' AS
// INTEGER) is true. A table is not told how it will be compared, so these are not looked for among the keys.
enum class NumericCasts : std::uint8_t {
  none,     // there is no such CAST in it
  numbers,  // numbers, as a CAST makes them
  any,      // text too: the rows of a compound SELECT are compared as its first is
};
NumericCasts numeric_casts(std::string_view sql);

// What the statement that runs on a connection reads: one snapshot for all its tables. Set before the statement is
// prepared.
struct QueryScope {
  NumericCasts casts = NumericCasts::none;
  const Snapshot* snapshot = nullptr;
  std::vector<const View*> used;                       // tables that a statement was prepared over
  std::uint64_t rows_visited = 0;                      // in the store
  std::uint64_t rows_visited_max = ~std::uint64_t{0};  // one more ends the statement with SQLITE_ABORT
  ErrorCode error;                                     // of the store, behind SQLite's "error"
  bool explain = false;                                // plans say in words what they are (query_explain.h)
};

// Makes `view` a table of this connection: its output columns, those that are always text with the
// affinity TEXT, so that = 17850 finds '17850', the others without one. Pushed down into the order of the
// stored keys: equality and IS NULL on the first key columns, IN lists and ranges on the next one, GLOB 'x*', and ORDER
// BY the key columns in either direction; in a statement with a CAST to a number that is less. All of it is checked
// again by SQLite, so a bound may be too wide, never too narrow. `scope` and `view` outlive the connection. `name`: of
// the table; empty: the view's. SQLite's code.
int add_view_table(sqlite3* db, std::shared_ptr<const View> view, QueryScope* scope, std::string name = {});

}  // namespace tidemill::views
