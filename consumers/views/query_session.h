#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "consumers/views/query_table.h"
#include "consumers/views/sql_account.h"
#include "consumers/views/sqlite.h"
#include "consumers/views/view.h"
#include "consumers/views/views.h"

namespace tidemill::views {

// The views of a tenant, numbered so that a change is seen.
struct QueryTables {
  std::string tenant;         // whose they are
  std::uint64_t version = 0;  // another whenever its set is another
  std::vector<std::shared_ptr<const View>> views;
};

// A statement that is ready to run, and what is known of its result.
struct PreparedQuery {
  std::string sql;
  NumericCasts casts = NumericCasts::none;
  Statement statement;
  std::vector<Column> columns;
  std::vector<bool> json;          // of each column
  std::vector<std::string> views;  // that it reads
};

// One connection over one set of views: its tables, its gate, its clock, and the statements it has prepared. One
// statement at a time; one thread at a time.
class QuerySession {
 public:
  static SqlResult<std::unique_ptr<QuerySession>> open(QueryTables tables);

  using Clock = std::chrono::steady_clock;
  // What a statement runs over, until rest(), and within which limits; those outlive it, too. Its time is `time`.
  void begin(const Snapshot& snapshot, Clock::duration time, const QueryLimits& limits);
  void rest();

  // A SELECT and nothing else. One that was kept with the same words, or made anew; not to be kept if it was made `to
  // be explained`, for then its plan says in words what it is.
  SqlResult<std::unique_ptr<PreparedQuery>> prepare(const std::string& sql, bool to_be_explained);
  // It has ended; its parameters may go. One that was made to be explained is not kept.
  void keep(std::unique_ptr<PreparedQuery> prepared);

  // Until when the statement may work; from `moment` on it hands out what it has.
  void work_until(Clock::time_point end, Clock::time_point moment = Clock::time_point::max());
  void row_made(Clock::duration for_the_next) {  // the time begins anew
    per_row_ = for_the_next;
    anew_ = true;
  }
  bool late() const { return late_; }
  bool moment_over() const { return moment_over_; }
  bool was_cancelled() const { return was_cancelled_; }

  // Around each use of the connection from outside: what it takes is counted.
  SqlAccount::Scope counted() { return SqlAccount::Scope(account_); }
  const SqlAccount& account() const { return account_; }
  // Why the statement was ended for what it holds, if it was.
  std::optional<SqlError> refused() const;
  SqlError explain(int code, std::string_view sql) const;  // what SQLite has just said
  sqlite3* db() const { return connection_->handle(); }
  const std::string& tenant() const { return tables_.tenant; }
  std::uint64_t version() const { return tables_.version; }
  bool has(const std::vector<std::shared_ptr<const View>>& views) const { return tables_.views == views; }

  QueryScope scope;  // the connection's tables point here

 private:
  explicit QuerySession(QueryTables tables) : tables_(std::move(tables)) {}
  bool go_on();
  const View* find(std::string_view name) const;
  SqlError unknown_table(const std::string& name) const;
  static int gate(void* session, int action, const char* a, const char* b, const char*, const char*);

  SqlAccount account_;  // outlives what it counts
  const QueryTables tables_;
  std::set<std::string> read_;  // tables of the statement that is prepared
  std::string no_function_;     // what the gate kept out
  std::string no_table_;
  Clock::time_point deadline_;
  Clock::time_point moment_;
  Clock::duration per_row_{};
  bool late_ = false;
  bool moment_over_ = false;
  bool was_cancelled_ = false;
  bool anew_ = false;
  const std::function<bool()>* cancelled_ = nullptr;
  std::unique_ptr<Connection> connection_;
  std::vector<std::unique_ptr<PreparedQuery>> kept_;  // the latest last
};

}  // namespace tidemill::views
