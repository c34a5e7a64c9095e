#include "consumers/views/predicate.h"

#include <sqlite3.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "consumers/views/cell.h"
#include "consumers/views/expression.h"
#include "consumers/views/row_statement.h"
#include "consumers/views/sqlite.h"
#include "consumers/views/sqlite_cell.h"
#include "consumers/views/tokenizer.h"
#include "consumers/views/view.h"
#include "storage/base/errors.h"

namespace tidemill::views {
namespace {

// SQLite looks at its progress handler where it jumps, and an expression has no loops: what bounds the work on one row
// is how long a text in it may become, and how long the pattern of LIKE, which may be tried at every place of a text.
constexpr std::size_t kTextLeast = 64 << 10;  // that may always be made; else twice what the row has
constexpr std::size_t kTextMost = 32 << 20;   // as everywhere
constexpr int kPatternMax = 100;
constexpr std::int64_t kRowNanosecondsMax = 1'000'000'000;  // of a processor: who takes longer is not asked again

std::int64_t thread_time() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

std::size_t text_bytes(const Row& row) {
  std::size_t out = 0;
  for (const Value& value : row)
    if (const Cell cell = to_cell(value); cell.is_text()) out += cell.text().size();
  return out;
}

// What the one row is read from.
struct RowTable {
  std::string schema;
  const Row* row = nullptr;
};
struct Table : sqlite3_vtab {
  const RowTable* shared;
};
struct Cursor : sqlite3_vtab_cursor {
  bool end = true;
};

int connect_table(sqlite3* db, void* aux, int, const char* const*, sqlite3_vtab** out, char**) {
  const auto* shared = static_cast<const RowTable*>(aux);
  if (const int rc = sqlite3_declare_vtab(db, shared->schema.c_str()); rc != SQLITE_OK) return rc;
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
  info->estimatedCost = 1;
  info->estimatedRows = 1;
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
  static_cast<Cursor*>(cursor)->end = static_cast<Table*>(cursor->pVtab)->shared->row == nullptr;
  return SQLITE_OK;
}
int next_row(sqlite3_vtab_cursor* cursor) {
  static_cast<Cursor*>(cursor)->end = true;
  return SQLITE_OK;
}
int at_end(sqlite3_vtab_cursor* cursor) {
  return static_cast<Cursor*>(cursor)->end ? 1 : 0;
}
int rowid(sqlite3_vtab_cursor*, sqlite3_int64* out) {
  *out = 1;
  return SQLITE_OK;
}
int column(sqlite3_vtab_cursor* cursor, sqlite3_context* context, int i) {
  const Row& row = *static_cast<Table*>(cursor->pVtab)->shared->row;
  // The row outlives the step: no copy.
  if (i >= 0 && static_cast<std::size_t>(i) < row.size())
    result_cell(context, to_cell(row[static_cast<std::size_t>(i)]), TextIs::kept);
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
    .xNext = next_row,
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

// As the view's table is declared for queries (query_table.cc): the affinity of a column decides what = means.
std::string schema_of(const View& view) {
  std::string out;
  for (const OutputColumn& c : view.definition().columns)
    out += (out.empty() ? "CREATE TABLE x(" : ",") + quoted_name(c.name) + (c.always_text ? " TEXT" : "");
  return out + ")";
}

class Predicate final : public RowFilter {
 public:
  Result<bool> fits(const Row& row) override {
    sqlite3* const db = connection->handle();
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, static_cast<int>(std::clamp(2 * text_bytes(row), kTextLeast, kTextMost)));
    table.row = &row;
    const std::int64_t begun = thread_time();
    const int rc = sqlite3_step(statement.get());
    const bool late = thread_time() - begun > kRowNanosecondsMax;
    const bool too_much = rc == SQLITE_TOOBIG || (rc == SQLITE_ERROR && connection->error() == kPatternError);
    sqlite3_reset(statement.get());
    table.row = nullptr;
    if (late) return errno_error(ETIMEDOUT);
    if (too_much) return errno_error(E2BIG);
    // What SQL cannot work out, number('x'), is NULL where rows are read, and NULL is not true.
    return rc == SQLITE_ROW;
  }

  RowTable table;
  std::unique_ptr<Connection> connection;
  Statement statement;

 private:
  static constexpr std::string_view kPatternError = "LIKE or GLOB pattern too complex";
};

// `name` as the view spells it. As in SQL, upper and lower case do not matter.
const OutputColumn* find_column(const View& view, std::string_view name) {
  const auto& columns = view.definition().columns;
  auto there = std::find_if(columns.begin(), columns.end(), [&](const OutputColumn& c) { return c.name == name; });
  if (there == columns.end())
    there = std::find_if(columns.begin(), columns.end(),
                         [&](const OutputColumn& c) { return equal_ignoring_case(c.name, name); });
  return there == columns.end() ? nullptr : &*there;
}

// What no expression has, and the parentheses, so that nothing can end the one that is put around it all.
std::optional<SqlError> check_shape(std::string_view text, std::span<const Token> tokens) {
  if (tokens.empty()) return SqlError{"invalid_view", "It is empty: write a condition, as in n > 10."};
  int depth = 0;
  for (const Token& t : tokens) {
    if (t.kind == TokenKind::parameter) return error_at(text, t.offset, "There are no parameters: write the value.");
    if (t.is_word("SELECT") || t.is_word("WITH") || t.is_word("VALUES"))
      return error_at(text, t.offset,
                      "A sub-select would have to be asked again for each row: compare columns of the row itself.");
    if (t.is(';')) return error_at(text, t.offset, "It is one expression, without a semicolon.");
    if (t.is('(')) ++depth;
    if (t.is(')') && --depth < 0) return error_at(text, t.offset, "This parenthesis was not opened.");
  }
  if (depth > 0) return error_at(text, text.size(), "A parenthesis is not closed.");
  return std::nullopt;
}

}  // namespace

SqlResult<std::unique_ptr<RowFilter>> compile_predicate(const View& view, std::string_view text) {
  if (text.size() > kPredicateBytesMax)
    return SqlError{"invalid_view", "It is longer than " + std::to_string(kPredicateBytesMax) + " bytes."};
  auto tokens = tokenize(text);
  if (auto* error = std::get_if<SqlError>(&tokens)) return *error;
  const auto& list = std::get<0>(tokens);
  if (auto error = check_shape(text, list)) return *error;
  ExpressionReader reader(text, {view.name()});
  auto parts = reader.read(list, ExpressionReader::Where::rows);
  if (auto* error = std::get_if<SqlError>(&parts)) return *error;

  Rendered sql;
  sql.add("SELECT 1 FROM " + std::string(kRowTable) + " WHERE (");
  for (const Part& part : std::get<Parts>(parts)) {
    sql.add(" ");
    if (part.kind != Part::Kind::column) {
      sql.add(part, part.text);
      continue;
    }
    const OutputColumn* const there = find_column(view, part.text);
    if (there == nullptr) {
      std::string names;
      for (const OutputColumn& c : view.definition().columns) names += (names.empty() ? "" : ", ") + c.name;
      return error_at(text, part.offset,
                      "The view has no column " + part.text + ". It has: " + names + ". Text stands in single quotes.");
    }
    sql.add(part, quoted_name(there->name));
  }
  sql.add(" )");

  auto out = std::make_unique<Predicate>();
  out->table.schema = schema_of(view);
  auto connection = Connection::open();
  if (auto* error = std::get_if<SqlError>(&connection)) return *error;
  out->connection = std::move(std::get<0>(connection));
  sqlite3* const db = out->connection->handle();
  sqlite3_db_config(db, SQLITE_DBCONFIG_LOOKASIDE, nullptr, 0, 0);  // there may be a thousand of them
  sqlite3_limit(db, SQLITE_LIMIT_EXPR_DEPTH, 200);
  sqlite3_limit(db, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, kPatternMax);
  // Declaring the table writes to SQLite's own schema: before the authorizer watches.
  const std::string probe = "SELECT 1 FROM " + std::string(kRowTable) + " LIMIT 0";
  if (sqlite3_create_module_v2(db, kRowTable, &kModule, &out->table, nullptr) != SQLITE_OK ||
      sqlite3_exec(db, probe.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    return SqlError{"internal", "SQLite: " + out->connection->error() + "."};
  auto prepared = prepare_final_statement(*out->connection, sql.sql());
  if (auto* error = std::get_if<PrepareError>(&prepared)) {
    if (error->offset < 0) return SqlError{"invalid_view", error->message};
    return error_at(text, sql.origin(error->offset), error->message);
  }
  out->statement = std::move(std::get<Statement>(prepared));
  return std::unique_ptr<RowFilter>(std::move(out));
}

}  // namespace tidemill::views
