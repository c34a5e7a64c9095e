#include "consumers/views/sqlite.h"

#include <sqlite3.h>

#include <string_view>

#include "consumers/views/cell.h"
#include "consumers/views/timestamp.h"

namespace tidemill::views {
namespace {

// Text is read as a blob: sqlite3_value_text would copy whatever does not end in a zero byte.
Cell cell_of(sqlite3_value* v) {
  switch (sqlite3_value_type(v)) {
    case SQLITE_INTEGER:
      return Cell::integer(sqlite3_value_int64(v));
    case SQLITE_FLOAT:
      return Cell::real(sqlite3_value_double(v));
    case SQLITE_NULL:
      return {};
    default: {
      const void* data = sqlite3_value_blob(v);
      return Cell::text({static_cast<const char*>(data), static_cast<std::size_t>(sqlite3_value_bytes(v))});
    }
  }
}

void result_text(sqlite3_context* context, std::string_view s) {
  sqlite3_result_text(context, s.data(), static_cast<int>(s.size()), SQLITE_TRANSIENT);
}

void ident_function(sqlite3_context* context, int, sqlite3_value** args) {
  if (sqlite3_value_type(args[0]) == SQLITE_TEXT) {
    // The usual case, a text that is fine as it stands, goes on without a copy.
    Cell x = cell_of(args[0]);
    std::string unused;
    auto text = ident(x, unused);
    if (!text) return sqlite3_result_null(context);
    if (text->size() == x.text().size()) return sqlite3_result_value(context, args[0]);
    return result_text(context, *text);
  }
  std::string buffer;
  auto text = ident(cell_of(args[0]), buffer);
  if (!text) return sqlite3_result_null(context);
  result_text(context, *text);
}

void timestamp_function(sqlite3_context* context, int, sqlite3_value** args) {
  char out[kTimestampBytes];
  if (!timestamp(cell_of(args[0]), out)) return sqlite3_result_null(context);
  result_text(context, {out, kTimestampBytes});
}

void number_function(sqlite3_context* context, int, sqlite3_value** args) {
  Cell x = cell_of(args[0]);
  auto n = number(x);
  if (!n) {
    std::string_view text = x.text();
    std::string message =
        "number('" + std::string(text.substr(0, 60)) + (text.size() > 60 ? "..." : "") + "'): this is not a number";
    return sqlite3_result_error(context, message.data(), static_cast<int>(message.size()));
  }
  if (n->is_null()) return sqlite3_result_null(context);
  if (n->type() == CellType::integer) return sqlite3_result_int64(context, n->integer());
  sqlite3_result_double(context, n->real());
}

// What collect() keeps of a value: its JSON text. NULL stays NULL (and is not collected).
void json_member_function(sqlite3_context* context, int, sqlite3_value** args) {
  static constexpr unsigned kJsonSubtype = 'J';
  Cell x = cell_of(args[0]);
  switch (sqlite3_value_type(args[0])) {
    case SQLITE_NULL:
      return sqlite3_result_null(context);
    case SQLITE_BLOB:
      return sqlite3_result_error(context, "a BLOB cannot be collected", -1);
    case SQLITE_TEXT:
      if (sqlite3_value_subtype(args[0]) == kJsonSubtype) return sqlite3_result_value(context, args[0]);
      break;
    default:
      break;
  }
  std::string out;
  append_json(x, out);
  result_text(context, out);
}

}  // namespace

void configure_sqlite() {
  // Both fail harmlessly with SQLITE_MISUSE once SQLite is in use.
  sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
}

int register_functions(sqlite3* db) {
  constexpr int kFlags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
  struct {
    const char* name;
    void (*function)(sqlite3_context*, int, sqlite3_value**);
  } const table[] = {{"ident", ident_function},
                     {"timestamp", timestamp_function},
                     {"number", number_function},
                     {"_json_member", json_member_function}};
  for (const auto& f : table) {
    int rc = sqlite3_create_function_v2(db, f.name, 1, kFlags, nullptr, f.function, nullptr, nullptr, nullptr);
    if (rc != SQLITE_OK) return rc;
  }
  return SQLITE_OK;
}

SqlResult<std::unique_ptr<Connection>> Connection::open() {
  sqlite3* db = nullptr;
  int rc = sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<Connection> out(new Connection(db));
  if (rc == SQLITE_OK) rc = register_functions(db);
  if (rc != SQLITE_OK) return SqlError{"internal", std::string("SQLite: ") + sqlite3_errstr(rc)};
  sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
  // printf('%999999999d') and replace() towers must not take the machine's memory.
  sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 32 << 20);
  sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_extended_result_codes(db, 1);
  return out;
}

Connection::~Connection() {
  sqlite3_close_v2(db_);
}

std::string Connection::error() const {
  return sqlite3_errmsg(db_);
}

void StatementDeleter::operator()(sqlite3_stmt* s) const {
  sqlite3_finalize(s);
}

}  // namespace tidemill::views
