#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "consumers/views/batch.h"
#include "consumers/views/definition.h"
#include "consumers/views/lookup.h"
#include "consumers/views/sqlite.h"

namespace tidemill::views {

// The virtual table `batch` on one connection: columns f0, f1, ... over a ParsedBatch. Shared by the check at creation
// and by the row stage.
struct BatchTable {
  std::uint32_t columns = 0;
  std::vector<std::uint32_t> slots;  // of column i in the parsed batch
  const ParsedBatch* batch = nullptr;
  std::uint32_t current = 0;  // record being read
  std::uint32_t first = 0;    // where the next scan begins
  std::uint32_t end = 0;
  QueryScope* lookups = nullptr;  // what the looked up views are read from; its rows_visited are the record's at hand
};

// The table of one row that a condition over the rows of a view is prepared on (predicate.cc).
inline constexpr const char* kRowTable = "view_row";

// Prepares one of the two statements of a definition and refuses whatever the splitter let through and must not run:
// aggregates, unknown tables or functions, writes. The table must outlive the connection. `offset`: where in `sql`
// SQLite found the error, -1 unknown. `lookups`: what look1, look2, ... are; table.lookups is set where there are any.
std::variant<Statement, PrepareError> prepare_row_statement(Connection& connection, BatchTable& table,
                                                            const std::string& sql, const LookedUp& lookups = {});
// Of a connection whose tables, if it needs any, have been declared.
std::variant<Statement, PrepareError> prepare_final_statement(Connection& connection, const std::string& sql);

}  // namespace tidemill::views
