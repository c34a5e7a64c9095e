#include "consumers/views/sqlite.h"

#include <sqlite3.h>

#include <mutex>
#include <string_view>

#include "consumers/views/cell.h"
#include "consumers/views/sql_account.h"
#include "consumers/views/sqlite_cell.h"
#include "consumers/views/text_functions.h"
#include "consumers/views/timestamp.h"

namespace tidemill::views {
namespace {

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
    // Without the text: what is said here goes to the log as well, and a record's data must not.
    constexpr std::string_view kMessage = "number() was given text that is not a number";
    return sqlite3_result_error(context, kMessage.data(), static_cast<int>(kMessage.size()));
  }
  if (n->is_null()) return sqlite3_result_null(context);
  if (n->type() == CellType::integer) return sqlite3_result_int64(context, n->integer());
  sqlite3_result_double(context, n->real());
}

// JSON text of an argument; false for a BLOB.
bool append_json_argument(sqlite3_value* v, std::string& out) {
  if (sqlite3_value_type(v) == SQLITE_BLOB) return false;
  Cell x = cell_of(v);
  if (x.type() == CellType::text && sqlite3_value_subtype(v) == kJsonSubtype) {
    out += x.text();
  } else {
    append_json(canonical(x), out);
  }
  return true;
}

// SQLite's json_object, faster (its numbers go through printf): it makes every line of a collected list. The buffer is
// the connection's, hence one thread's.
void json_object_function(sqlite3_context* context, int n, sqlite3_value** args) {
  auto& out = *static_cast<std::string*>(sqlite3_user_data(context));
  if (n % 2 != 0) return sqlite3_result_error(context, "json_object() requires an even number of arguments", -1);
  out = "{";
  for (int i = 0; i < n; i += 2) {
    if (sqlite3_value_type(args[i]) != SQLITE_TEXT) {
      return sqlite3_result_error(context, "json_object() labels must be TEXT", -1);
    }
    if (i > 0) out += ',';
    append_json(cell_of(args[i]), out);
    out += ':';
    if (!append_json_argument(args[i + 1], out)) {
      return sqlite3_result_error(context, "JSON cannot hold BLOB values", -1);
    }
  }
  out += '}';
  result_text(context, out);
  sqlite3_result_subtype(context, kJsonSubtype);
}

// What collect() keeps of a value: its JSON text. NULL stays NULL (and is not collected).
void json_member_function(sqlite3_context* context, int, sqlite3_value** args) {
  if (sqlite3_value_type(args[0]) == SQLITE_NULL) return sqlite3_result_null(context);
  if (sqlite3_value_type(args[0]) == SQLITE_TEXT && sqlite3_value_subtype(args[0]) == kJsonSubtype) {
    return sqlite3_result_value(context, args[0]);
  }
  auto& out = *static_cast<std::string*>(sqlite3_user_data(context));
  out.clear();
  if (!append_json_argument(args[0], out)) return sqlite3_result_error(context, "a BLOB cannot be collected", -1);
  result_text(context, out);
}

}  // namespace

void configure_sqlite() {
  static std::once_flag once;
  std::call_once(once, [] {
    // All fail harmlessly with SQLITE_MISUSE once SQLite is in use.
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
    account_for_sqlite_memory();
  });
}

int register_functions(sqlite3* db) {
  constexpr int kFlags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
  struct {
    const char* name;
    int arguments;
    void (*function)(sqlite3_context*, int, sqlite3_value**);
  } const table[] = {{"ident", 1, ident_function},
                     {"timestamp", 1, timestamp_function},
                     {"number", 1, number_function},
                     {"json_object", -1, json_object_function},
                     {"_json_member", 1, json_member_function}};
  for (const auto& f : table) {
    // Each has a buffer of its own: one may be the other's argument.
    int rc = sqlite3_create_function_v2(db, f.name, f.arguments, kFlags, new std::string, f.function, nullptr, nullptr,
                                        [](void* buffer) { delete static_cast<std::string*>(buffer); });
    if (rc != SQLITE_OK) return rc;  // SQLite has freed the buffer
  }
  return register_text_functions(db);
}

SqlResult<std::unique_ptr<Connection>> Connection::open(const char* files) {
  configure_sqlite();
  sqlite3* db = nullptr;
  int rc = sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, files);
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
