#include "consumers/views/row_statement.h"

#include <sqlite3.h>

#include <cstring>

#include "consumers/views/sqlite_cell.h"
#include "consumers/views/tokenizer.h"
#include "consumers/views/words.h"

namespace tidemill::views {
namespace {

struct Table : sqlite3_vtab {
  BatchTable* shared;
};
struct Cursor : sqlite3_vtab_cursor {};

BatchTable& table_of(sqlite3_vtab_cursor* cursor) {
  return *static_cast<Table*>(cursor->pVtab)->shared;
}

int connect_table(sqlite3* db, void* aux, int, const char* const*, sqlite3_vtab** out, char**) {
  auto* shared = static_cast<BatchTable*>(aux);
  // A table needs a column, also when the definition names no field: count(*) over all.
  std::string sql = "CREATE TABLE x(f0";
  for (std::uint32_t i = 1; i < shared->columns; ++i) sql += ", f" + std::to_string(i);
  sql += ")";
  if (int rc = sqlite3_declare_vtab(db, sql.c_str()); rc != SQLITE_OK) return rc;
  sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS);
  auto* table = new Table{};
  table->shared = shared;
  *out = table;
  return SQLITE_OK;
}
int disconnect_table(sqlite3_vtab* table) {
  delete static_cast<Table*>(table);
  return SQLITE_OK;
}
int best_index(sqlite3_vtab*, sqlite3_index_info* info) {
  info->estimatedCost = 1000;
  info->estimatedRows = 1000;
  return SQLITE_OK;
}
int open_cursor(sqlite3_vtab*, sqlite3_vtab_cursor** out) {
  *out = new Cursor{};
  return SQLITE_OK;
}
int close_cursor(sqlite3_vtab_cursor* cursor) {
  delete static_cast<Cursor*>(cursor);
  return SQLITE_OK;
}
int filter(sqlite3_vtab_cursor* cursor, int, const char*, int, sqlite3_value**) {
  BatchTable& t = table_of(cursor);
  t.current = t.first;
  if (t.lookups != nullptr) t.lookups->rows_visited = 0;
  return SQLITE_OK;
}
int next_record(sqlite3_vtab_cursor* cursor) {
  BatchTable& t = table_of(cursor);
  ++t.current;
  if (t.lookups != nullptr) t.lookups->rows_visited = 0;
  return SQLITE_OK;
}
int at_end(sqlite3_vtab_cursor* cursor) {
  BatchTable& t = table_of(cursor);
  return t.current >= t.end ? 1 : 0;
}
int rowid(sqlite3_vtab_cursor* cursor, sqlite3_int64* out) {
  *out = table_of(cursor).current;
  return SQLITE_OK;
}

int column(sqlite3_vtab_cursor* cursor, sqlite3_context* context, int i) {
  BatchTable& t = table_of(cursor);
  if (static_cast<std::size_t>(i) >= t.slots.size()) return SQLITE_OK;
  // The batch outlives the step: no copy.
  result_cell(context, t.batch->cell(t.current, t.slots[static_cast<std::size_t>(i)]), TextIs::kept);
  return SQLITE_OK;
}

const sqlite3_module kModule = {
    .iVersion = 1,
    .xCreate = nullptr,  // eponymous only
    .xConnect = connect_table,
    .xBestIndex = best_index,
    .xDisconnect = disconnect_table,
    .xDestroy = nullptr,
    .xOpen = open_cursor,
    .xClose = close_cursor,
    .xFilter = filter,
    .xNext = next_record,
    .xEof = at_end,
    .xColumn = column,
    .xRowid = rowid,
    .xUpdate = nullptr,
    .xBegin = nullptr,
    .xSync = nullptr,
    .xCommit = nullptr,
    .xRollback = nullptr,
    .xFindFunction = nullptr,
    .xRename = nullptr,
    .xSavepoint = nullptr,
    .xRelease = nullptr,
    .xRollbackTo = nullptr,
    .xShadowName = nullptr,
};

struct Refusal {
  std::string reason;
};

// Only plain reading of the batch and functions that are known to be pure.
int authorize(void* aux, int action, const char* a, const char* b, const char*, const char*) {
  auto* refusal = static_cast<Refusal*>(aux);
  switch (action) {
    case SQLITE_SELECT:
      return SQLITE_OK;
    case SQLITE_READ:
      if (a != nullptr && (std::strcmp(a, "batch") == 0 || std::strcmp(a, "json_each") == 0 ||
                           std::strcmp(a, kRowTable) == 0 || is_lookup_table(a)))
        return SQLITE_OK;
      refusal->reason = std::string("It may read the stream only, not ") + (a == nullptr ? "?" : a) + ".";
      return SQLITE_DENY;
    case SQLITE_FUNCTION: {
      // min and max stand for the scalar and the aggregate here; AggStep below tells them apart.
      std::string name = to_lower(b == nullptr ? "" : b);
      if (is_scalar_function(name) || name == "_json_member" || name == "->" || name == "->>") return SQLITE_OK;
      refusal->reason = is_aggregate(name) ? "The aggregate " + name + " stands in a place where it cannot be kept up."
                                           : "The function " + name + " is not one that a view may call.";
      return SQLITE_DENY;
    }
    default:
      refusal->reason = "A view may only read.";
      return SQLITE_DENY;
  }
}

bool aggregates(sqlite3* db, const std::string& sql) {
  sqlite3_stmt* raw = nullptr;
  std::string explain = "EXPLAIN " + sql;
  if (sqlite3_prepare_v2(db, explain.c_str(), -1, &raw, nullptr) != SQLITE_OK) return true;
  Statement statement(raw);
  while (sqlite3_step(raw) == SQLITE_ROW) {
    auto* opcode = reinterpret_cast<const char*>(sqlite3_column_text(raw, 1));
    if (opcode != nullptr && std::strncmp(opcode, "Agg", 3) == 0) return true;
  }
  return false;
}

std::variant<Statement, PrepareError> prepare(sqlite3* db, const std::string& sql) {
  Refusal refusal;
  sqlite3_set_authorizer(db, authorize, &refusal);
  sqlite3_stmt* raw = nullptr;
  const char* tail = nullptr;
  int rc = sqlite3_prepare_v3(db, sql.c_str(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &raw, &tail);
  int offset = rc == SQLITE_OK ? -1 : sqlite3_error_offset(db);
  std::string message = sqlite3_errmsg(db);
  sqlite3_set_authorizer(db, nullptr, nullptr);
  Statement statement(raw);
  if (rc != SQLITE_OK) return PrepareError{refusal.reason.empty() ? "SQL: " + message + "." : refusal.reason, offset};
  if (tail != nullptr && *tail != '\0') return PrepareError{"There is more than one statement.", -1};
  if (sqlite3_stmt_readonly(raw) == 0) return PrepareError{"A view may only read.", -1};
  if (aggregates(db, sql)) return PrepareError{"An aggregate stands in a place where it cannot be kept up.", -1};
  return statement;
}

}  // namespace

std::variant<Statement, PrepareError> prepare_row_statement(Connection& connection, BatchTable& table,
                                                            const std::string& sql, const LookedUp& lookups) {
  sqlite3* db = connection.handle();
  if (sqlite3_create_module_v2(db, "batch", &kModule, &table, nullptr) != SQLITE_OK) {
    return PrepareError{"SQL: " + connection.error() + ".", -1};
  }
  // Declaring the tables writes to SQLite's own schema: before the authorizer watches.
  if (sqlite3_exec(db, "SELECT 1 FROM batch, json_each('[]') LIMIT 0", nullptr, nullptr, nullptr) != SQLITE_OK) {
    return PrepareError{"SQL: " + connection.error() + ".", -1};
  }
  for (std::uint32_t i = 0; i < lookups.size(); ++i) {
    if (add_view_table(db, lookups[i], table.lookups, lookup_table(i)) != SQLITE_OK)
      return PrepareError{"SQL: " + connection.error() + ".", -1};
  }
  if (!lookups.empty()) table.lookups->casts = numeric_casts(sql.substr(sql.find(" FROM batch")));
  return prepare(db, sql);
}

std::variant<Statement, PrepareError> prepare_final_statement(Connection& connection, const std::string& sql) {
  return prepare(connection.handle(), sql);
}

}  // namespace tidemill::views
