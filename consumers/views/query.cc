#include "consumers/views/query.h"

#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "consumers/views/cell.h"
#include "consumers/views/query_gate.h"
#include "consumers/views/query_table.h"
#include "consumers/views/sqlite.h"
#include "consumers/views/sqlite_cell.h"
#include "engine/json/writer.h"
#include "storage/base/text.h"

namespace tidemill::views {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kProgressSteps = 2'000;  // of SQLite's machine between two looks at the clock
constexpr std::size_t kSqlBytesMax = 100'000;

SqlError error(std::string code, std::string message) {
  return {std::move(code), std::move(message)};
}

bool blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n;") == std::string_view::npos;
}

Value value_of(sqlite3_stmt* statement, int column, bool json) {
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      return std::int64_t{sqlite3_column_int64(statement, column)};
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement, column);
    case SQLITE_TEXT:
    case SQLITE_BLOB: {
      const auto* data = static_cast<const char*>(sqlite3_column_blob(statement, column));
      std::string text(data == nullptr ? "" : data, static_cast<std::size_t>(sqlite3_column_bytes(statement, column)));
      if (json) return Json{std::move(text)};
      if (sqlite3_column_type(statement, column) == SQLITE_TEXT) return text;
      Json bytes;
      append_bytes_json(bytes.text, text);
      return bytes;
    }
    default:
      return {};
  }
}

std::uint64_t bytes_of(const Row& row) {
  std::uint64_t bytes = 0;
  for (const Value& value : row) {
    bytes += 16;
    if (const auto* text = std::get_if<std::string>(&value)) bytes += text->size();
    if (const auto* json = std::get_if<Json>(&value)) bytes += json->text.size();
  }
  return bytes;
}

}  // namespace

struct QueryExecutor::Session {
  QueryScope scope;  // before the connection: its tables point here
  std::vector<std::shared_ptr<const View>> views;
  std::uint64_t version = ~0ull;
  std::set<std::string> read;  // tables of the statement
  std::string no_function;     // what the gate kept out
  std::string no_table;
  Clock::time_point deadline;
  bool late = false;
  std::unique_ptr<Connection> connection;

  sqlite3* db() const { return connection->handle(); }
  const View* find(std::string_view name) const {
    const auto found = std::find_if(views.begin(), views.end(), [&](const auto& v) { return v->name() == name; });
    return found == views.end() ? nullptr : found->get();
  }
  SqlError explain(int code) const;
  SqlError unknown_table(const std::string& name) const;
  static int gate(void* session, int action, const char* a, const char* b, const char*, const char*);
};

// SQLite's authorizer: asked about each thing that a statement would do, before it runs.
int QueryExecutor::Session::gate(void* session, int action, const char* a, const char* b, const char*, const char*) {
  auto& s = *static_cast<Session*>(session);
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE:
      return SQLITE_OK;
    case SQLITE_READ:
      if (a == nullptr || b == nullptr) return SQLITE_DENY;
      if (*b == 0) {
        // No column of it is read, its rows are counted. `a` is the name as the statement spells it, perhaps a CTE's.
        for (const auto& view : s.views) {
          if (sqlite3_stricmp(view->name().c_str(), a) == 0) s.read.insert(view->name());
        }
        return SQLITE_OK;
      }
      s.read.insert(a);
      if (s.find(a) != nullptr || query_may_read(a)) return SQLITE_OK;
      s.no_table = a;
      return SQLITE_DENY;
    case SQLITE_FUNCTION:
      if (b != nullptr && query_may_call(b)) return SQLITE_OK;
      s.no_function = b == nullptr ? "" : b;
      return SQLITE_DENY;
    default:
      return SQLITE_DENY;
  }
}

SqlError QueryExecutor::Session::unknown_table(const std::string& name) const {
  std::string message = "There is no view " + name + ".";
  const View* nearest = nullptr;
  std::size_t least = 4;
  for (const auto& view : views) {
    const std::size_t d = edit_distance(view->name(), name);
    if (d < least) {
      least = d;
      nearest = view.get();
    }
  }
  if (nearest != nullptr) message += " Did you mean " + nearest->name() + "?";
  message += " GET /v1/views lists them.";
  return error("no_such_view", message);
}

SqlError QueryExecutor::Session::explain(int code) const {
  const std::string text = sqlite3_errmsg(db());
  if (!no_function.empty()) {
    return error("invalid_sql", "There is no function " + no_function + " here. docs/sql.md says which there are.");
  }
  if (!no_table.empty()) return unknown_table(no_table);
  if (code == SQLITE_AUTH || text.find("not authorized") != std::string::npos ||
      text.find("may not be modified") != std::string::npos) {
    return error("not_read_only", "Only SELECT is allowed here.");
  }
  // A table that SQLite brings along, but that was not made ready when the connection was opened, is one of the latter.
  for (const std::string_view words : {"no such table: ", "vtable constructor failed: "}) {
    if (const std::size_t at = text.find(words); at != std::string::npos) {
      return unknown_table(text.substr(at + words.size()));
    }
  }
  std::string message = "SQLite says: " + text + ".";
  if (text.find("no such column") != std::string::npos) {
    message += " Text stands in single quotes; GET /v1/views/NAME shows a view's columns.";
  }
  return error("invalid_sql", message);
}

QueryExecutor::QueryExecutor(const QuerySource& source) : source_(source) {}
QueryExecutor::~QueryExecutor() = default;

SqlResult<std::unique_ptr<QueryExecutor::Session>> QueryExecutor::take() {
  auto tables = source_.tables();
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(idle_, [&](const auto& s) { return s->version != tables.version; });
    if (!idle_.empty()) {
      auto session = std::move(idle_.back());
      idle_.pop_back();
      return session;
    }
  }
  auto session = std::make_unique<Session>();
  session->version = tables.version;
  session->views = std::move(tables.views);
  auto opened = Connection::open();
  if (auto* failed = std::get_if<SqlError>(&opened)) return *failed;
  session->connection = std::move(std::get<0>(opened));
  for (const auto& view : session->views) {
    const int rc = add_view_table(session->db(), view, &session->scope);
    if (rc != SQLITE_OK) return error("internal", std::string("SQLite: ") + sqlite3_errmsg(session->db()));
  }
  sqlite3* db = session->db();
  sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, kSqlBytesMax);
  sqlite3_limit(db, SQLITE_LIMIT_EXPR_DEPTH, 200);
  sqlite3_limit(db, SQLITE_LIMIT_COMPOUND_SELECT, 50);
  sqlite3_limit(db, SQLITE_LIMIT_VARIABLE_NUMBER, 1'000);
  sqlite3_limit(db, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1'000);
  // The first use makes such a table, which the gate would not let pass.
  if (sqlite3_exec(db, "SELECT 1 FROM json_each('1'), json_tree('1')", nullptr, nullptr, nullptr) != SQLITE_OK) {
    return error("internal", std::string("SQLite: ") + sqlite3_errmsg(db));
  }
  sqlite3_set_authorizer(db, Session::gate, session.get());
  sqlite3_progress_handler(
      db, kProgressSteps,
      [](void* p) {
        auto& s = *static_cast<Session*>(p);
        s.late = Clock::now() >= s.deadline;
        return s.late ? 1 : 0;
      },
      session.get());
  return session;
}

SqlResult<QueryEnd> QueryExecutor::query(std::string_view sql, const Row& params, const QueryLimits& limits,
                                         QuerySink& sink) {
  auto taken = take();
  if (auto* failed = std::get_if<SqlError>(&taken)) return *failed;
  auto& session = std::get<0>(taken);
  auto result = run(*session, sql, params, limits, sink);
  rows_visited_last_ = session->scope.rows_visited;
  session->scope.snapshot = nullptr;
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(session));
  return result;
}

SqlResult<QueryEnd> QueryExecutor::run(Session& session, std::string_view sql, const Row& params,
                                       const QueryLimits& limits, QuerySink& sink) {
  if (blank(sql)) return error("invalid_sql", "The statement is empty. Write one SELECT.");
  if (sql.size() > kSqlBytesMax) return error("invalid_sql", "The statement is longer than 100,000 bytes.");
  const auto snapshot = source_.snapshot();
  session.scope.snapshot = snapshot.get();
  session.scope.casts = numeric_casts(sql);
  session.scope.rows_visited = 0;
  session.scope.error = {};
  session.read.clear();
  session.no_function.clear();
  session.no_table.clear();
  session.late = false;
  session.deadline = Clock::now() + limits.time_max;

  sqlite3_stmt* prepared = nullptr;
  const char* tail = nullptr;
  int rc = sqlite3_prepare_v2(session.db(), sql.data(), static_cast<int>(sql.size()), &prepared, &tail);
  const Statement statement(prepared);
  if (rc != SQLITE_OK) return session.explain(rc);
  if (!statement) return error("invalid_sql", "The statement is empty. Write one SELECT.");
  if (!blank({tail, static_cast<std::size_t>(sql.data() + sql.size() - tail)})) {
    sqlite3_stmt* second = nullptr;
    rc = sqlite3_prepare_v2(session.db(), tail, static_cast<int>(sql.data() + sql.size() - tail), &second, nullptr);
    const Statement owned(second);
    if (rc != SQLITE_OK || owned)
      return error("invalid_sql", "Only one statement at a time. Send the others on their own.");
  }
  if (sqlite3_stmt_readonly(statement.get()) == 0 || sqlite3_column_count(statement.get()) == 0)
    return error("not_read_only", "Only SELECT is allowed here.");
  const int wanted = sqlite3_bind_parameter_count(statement.get());
  if (wanted != static_cast<int>(params.size())) {
    return error("invalid_parameters", "`params` needs a value for each parameter of the statement: it has " +
                                           std::to_string(wanted) + ", and " + std::to_string(params.size()) +
                                           " came.");
  }
  for (int i = 0; i < wanted; ++i) bind_cell(statement.get(), i + 1, to_cell(params[static_cast<std::size_t>(i)]));

  std::vector<std::string> used;
  for (const auto& name : session.read) {
    if (session.find(name) != nullptr) used.push_back(name);
  }
  const auto as_of = source_.as_of(*snapshot, used);
  if (!as_of) return error("view_damaged", "A view's store cannot be read: " + as_of.error().message() + ".");

  // A result column that is a view's column as it stands has that column's type.
  std::vector<Column> columns;
  std::vector<bool> json;
  for (int i = 0; i < sqlite3_column_count(statement.get()); ++i) {
    Column column{sqlite3_column_name(statement.get(), i), "any", false};
    const char* table = sqlite3_column_table_name(statement.get(), i);
    const char* origin = sqlite3_column_origin_name(statement.get(), i);
    if (const View* view = table != nullptr && origin != nullptr ? session.find(table) : nullptr) {
      for (const Column& c : view->definition().output()) {
        if (c.name == origin) column = {column.name, c.type, c.key};
      }
    }
    json.push_back(column.type == "json");
    columns.push_back(std::move(column));
  }
  QueryEnd end;
  if (!sink.columns(columns, *as_of)) return end;

  std::uint64_t bytes = 0;
  Row row;
  for (;;) {
    rc = sqlite3_step(statement.get());
    if (rc == SQLITE_DONE) return end;
    if (rc != SQLITE_ROW) break;
    if (end.rows == limits.rows_max || bytes >= limits.bytes_max) {
      end.truncated = true;
      return end;
    }
    row.clear();
    for (std::size_t i = 0; i < json.size(); ++i)
      row.push_back(value_of(statement.get(), static_cast<int>(i), json[i]));
    bytes += bytes_of(row);
    ++end.rows;
    if (!sink.row(row)) return end;
  }
  if (session.late) {
    if (end.rows > 0) {
      end.truncated = true;
      return end;
    }
    return error("sql_timeout", "The statement gave no row within " + std::to_string(limits.time_max.count()) + " ms.");
  }
  if (session.scope.error) {
    return error("view_damaged", "A view's store cannot be read: " + session.scope.error.message() + ".");
  }
  return session.explain(rc);
}

}  // namespace tidemill::views
