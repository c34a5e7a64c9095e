#include "consumers/views/query_session.h"

#include <sqlite3.h>

#include <algorithm>
#include <utility>

#include "consumers/views/query_gate.h"
#include "consumers/views/statement.h"
#include "consumers/views/tokenizer.h"
#include "storage/base/text.h"

namespace tidemill::views {
namespace {

constexpr int kProgressSteps = 2'000;  // of SQLite's machine between two looks at the clock
constexpr int kValueMax = 8 << 20;     // a list of a row may be long; docs/decisions/0066
constexpr int kColumnsMax = 500;
constexpr std::size_t kKeptMax = 32;
constexpr std::size_t kKeptBytesMax = 4'096;  // of the text of one that is kept

SqlError error(std::string code, std::string message) {
  return {std::move(code), std::move(message)};
}

bool blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n;") == std::string_view::npos;
}

}  // namespace

void QuerySession::work_until(Clock::time_point end, Clock::time_point moment) {
  deadline_ = end;
  moment_ = moment;
  late_ = moment_over_ = was_cancelled_ = anew_ = false;
}

bool QuerySession::go_on() {
  const auto now = Clock::now();
  if (std::exchange(anew_, false)) deadline_ = now + per_row_;
  moment_over_ = now >= moment_;
  late_ = now >= deadline_;
  was_cancelled_ = cancelled_ != nullptr && (*cancelled_)();
  return !late_ && !was_cancelled_;
}

const View* QuerySession::find(std::string_view name) const {
  const auto& views = tables_.views;
  const auto found = std::find_if(views.begin(), views.end(), [&](const auto& v) { return v->name() == name; });
  return found == views.end() ? nullptr : found->get();
}

// SQLite's authorizer: asked about each thing that a statement would do, before it runs.
int QuerySession::gate(void* session, int action, const char* a, const char* b, const char*, const char*) {
  auto& s = *static_cast<QuerySession*>(session);
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE:
      return SQLITE_OK;
    case SQLITE_READ:
      if (a == nullptr || b == nullptr) return SQLITE_DENY;
      if (*b == 0) {
        // No column of it is read, its rows are counted. `a` is the name as the statement spells it, perhaps a CTE's.
        for (const auto& view : s.tables_.views) {
          if (sqlite3_stricmp(view->name().c_str(), a) == 0) s.read_.insert(view->name());
        }
        return SQLITE_OK;
      }
      s.read_.insert(a);
      if (s.find(a) != nullptr || query_may_read(a)) return SQLITE_OK;
      s.no_table_ = a;
      return SQLITE_DENY;
    case SQLITE_FUNCTION:
      if (b != nullptr && query_may_call(b)) return SQLITE_OK;
      s.no_function_ = b == nullptr ? "" : b;
      return SQLITE_DENY;
    default:
      return SQLITE_DENY;
  }
}

SqlError QuerySession::unknown_table(const std::string& name) const {
  std::string message = "There is no view " + name + ".";
  const View* nearest = nullptr;
  std::size_t least = 4;
  for (const auto& view : tables_.views) {
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

std::optional<SqlError> QuerySession::refused() const {
  const std::string less = " Ask for shorter values, fewer columns or fewer rows at once, or in the order of a key.";
  const auto mib = [](std::uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; };
  switch (account_.refused()) {
    case SqlAccount::Refused::memory:
      return error("invalid_sql", "The statement needs more memory than the " + mib(account_.bounds().memory) +
                                      " it may have." + less);
    case SqlAccount::Refused::files:
      return error("invalid_sql", "What the statement sorts or keeps needs more than " + mib(account_.bounds().files) +
                                      " of temporary files." + less);
    case SqlAccount::Refused::memory_of_all:
    case SqlAccount::Refused::files_of_all:
      return error("throttled", "The SQL statements at work hold all that they may have together. Ask again later.");
    case SqlAccount::Refused::time:  // the clock says it
    case SqlAccount::Refused::nothing:
      break;
  }
  return std::nullopt;
}

SqlError QuerySession::explain(int code, std::string_view sql) const {
  if (const auto why = refused()) return *why;
  if (account_.refused() == SqlAccount::Refused::time)
    return was_cancelled_ ? error("cancelled", "The statement was cancelled.")
                          : error("sql_timeout", "The statement took too long before its first row.");
  const std::string text = sqlite3_errmsg(db());
  const int offset = sqlite3_error_offset(db());
  if (!no_function_.empty()) {
    return error("invalid_sql", "There is no function " + no_function_ + " here. docs/sql.md says which there are.");
  }
  if (!no_table_.empty()) return unknown_table(no_table_);
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
  if (offset < 0) return error("invalid_sql", message);
  return error_at(sql, static_cast<std::size_t>(offset), message, "invalid_sql");
}

SqlResult<std::unique_ptr<QuerySession>> QuerySession::open(QueryTables tables) {
  std::unique_ptr<QuerySession> session(new QuerySession(std::move(tables)));
  const auto counted = session->counted();
  auto opened = Connection::open(counting_files());
  if (auto* failed = std::get_if<SqlError>(&opened)) return *failed;
  session->connection_ = std::move(std::get<0>(opened));
  sqlite3* db = session->db();
  for (const auto& view : session->tables_.views) {
    if (add_view_table(db, view, &session->scope) != SQLITE_OK)
      return error("internal", std::string("SQLite: ") + sqlite3_errmsg(db));
  }
  sqlite3_limit(db, SQLITE_LIMIT_LENGTH, kValueMax);
  sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, static_cast<int>(kStatementBytesMax));
  sqlite3_limit(db, SQLITE_LIMIT_EXPR_DEPTH, 200);
  sqlite3_limit(db, SQLITE_LIMIT_COMPOUND_SELECT, 50);
  sqlite3_limit(db, SQLITE_LIMIT_VARIABLE_NUMBER, 1'000);
  sqlite3_limit(db, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1'000);
  // The first use makes such a table, which the gate would not let pass.
  if (sqlite3_exec(db, "SELECT 1 FROM json_each('1'), json_tree('1')", nullptr, nullptr, nullptr) != SQLITE_OK) {
    return error("internal", std::string("SQLite: ") + sqlite3_errmsg(db));
  }
  // From here on: a view may have more columns than an answer.
  sqlite3_limit(db, SQLITE_LIMIT_COLUMN, kColumnsMax);
  sqlite3_set_authorizer(db, QuerySession::gate, session.get());
  sqlite3_progress_handler(
      db, kProgressSteps, [](void* p) { return static_cast<QuerySession*>(p)->go_on() ? 0 : 1; }, session.get());
  return session;
}

void QuerySession::begin(const Snapshot& snapshot, Clock::duration time, const QueryLimits& limits) {
  scope.snapshot = &snapshot;
  scope.rows_visited = 0;
  scope.error = {};
  cancelled_ = limits.cancelled ? &limits.cancelled : nullptr;
  work_until(Clock::now() + time);
  account_.begin([this] { return go_on(); });
}

void QuerySession::rest() {
  account_.rest();
  scope.snapshot = nullptr;
  cancelled_ = nullptr;
}

SqlResult<std::unique_ptr<PreparedQuery>> QuerySession::prepare(const std::string& sql, bool to_be_explained) {
  const auto counted = this->counted();
  if (blank(sql)) return error("invalid_sql", "The statement is empty. Write one SELECT.");
  if (sql.size() > kStatementBytesMax) return error("invalid_sql", kStatementTooLong);
  scope.explain = to_be_explained;
  const auto there = std::find_if(kept_.begin(), kept_.end(), [&](const auto& p) { return p->sql == sql; });
  if (!to_be_explained && there != kept_.end()) {
    auto prepared = std::move(*there);
    kept_.erase(there);
    scope.casts = prepared->casts;
    return prepared;
  }
  read_.clear();
  scope.used.clear();
  no_function_.clear();
  no_table_.clear();
  auto prepared = std::make_unique<PreparedQuery>();
  prepared->sql = sql;
  prepared->casts = scope.casts = numeric_casts(sql);
  const std::string& text = prepared->sql;
  sqlite3_stmt* made = nullptr;
  const char* tail = nullptr;
  int rc =
      sqlite3_prepare_v3(db(), text.data(), static_cast<int>(text.size()), SQLITE_PREPARE_PERSISTENT, &made, &tail);
  prepared->statement.reset(made);
  if (rc != SQLITE_OK) return explain(rc, sql);
  if (made == nullptr) return error("invalid_sql", "The statement is empty. Write one SELECT.");
  const char* const end = text.data() + text.size();
  if (!blank({tail, static_cast<std::size_t>(end - tail)})) {
    sqlite3_stmt* second = nullptr;
    rc = sqlite3_prepare_v2(db(), tail, static_cast<int>(end - tail), &second, nullptr);
    const Statement owned(second);
    if (rc != SQLITE_OK || owned)
      return error("invalid_sql", "Only one statement at a time. Send the others on their own.");
  }
  if (sqlite3_stmt_readonly(made) == 0 || sqlite3_column_count(made) == 0)
    return error("not_read_only", "Only SELECT is allowed here.");
  // Of columns that only USING names, the gate is not asked.
  for (const View* view : scope.used) read_.insert(view->name());
  for (const auto& name : read_) {
    if (find(name) != nullptr) prepared->views.push_back(name);
  }
  // A result column that is a view's column as it stands has that column's type.
  for (int i = 0; i < sqlite3_column_count(made); ++i) {
    Column column{sqlite3_column_name(made, i), "any", false};
    const char* table = sqlite3_column_table_name(made, i);
    const char* origin = sqlite3_column_origin_name(made, i);
    if (const View* view = table != nullptr && origin != nullptr ? find(table) : nullptr) {
      for (const Column& c : view->definition().output()) {
        if (c.name == origin) column = {column.name, c.type, c.key};
      }
    }
    prepared->json.push_back(column.type == "json");
    prepared->columns.push_back(std::move(column));
  }
  return prepared;
}

void QuerySession::keep(std::unique_ptr<PreparedQuery> given) {
  const auto counted = this->counted();
  auto prepared = std::move(given);          // goes while it is counted
  sqlite3_reset(prepared->statement.get());  // its cursors go, and what they hold of the snapshot
  sqlite3_clear_bindings(prepared->statement.get());
  if (scope.explain || prepared->sql.size() > kKeptBytesMax) return;
  if (kept_.size() == kKeptMax) kept_.erase(kept_.begin());
  kept_.push_back(std::move(prepared));
}

}  // namespace tidemill::views
