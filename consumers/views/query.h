#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "consumers/views/database.h"
#include "consumers/views/query_session.h"
#include "consumers/views/view.h"
#include "consumers/views/views.h"

namespace tidemill::views {

// What queries are run over: the views of a tenant, numbered so that a change is seen, and a snapshot of their rows.
class QuerySource {
 public:
  virtual ~QuerySource() = default;
  using Tables = QueryTables;
  virtual Tables tables(std::string_view tenant) const = 0;
  virtual std::unique_ptr<Snapshot> snapshot() const = 0;
  // What an answer over these views of the tenant was true of: of the one that is least far.
  virtual Result<AsOf> as_of(const Snapshot& snapshot, std::string_view tenant,
                             const std::vector<std::string>& views) const = 0;
};

// Of two views in one answer: which has come less far, in time, else in records.
inline bool is_less_far(const AsOf& a, const AsOf& b) {
  return a.time < b.time || (a.time == b.time && a.position < b.position);
}

// Read-only SQL. One statement at a time per connection; a few connections are kept for the next, each with the
// statements that it has prepared. Any thread; blocks on the store. Outlives its cursors.
//
// Let through: SELECT, VALUES, WITH, EXPLAIN. One statement. Everything else is refused by SQLite's authorizer before
// it runs. Limits: QueryLimits. Memory: values up to 32 MiB, sorting beyond SQLite's page cache goes to temporary
// files.
class QueryExecutor {
 public:
  explicit QueryExecutor(const QuerySource& source);
  ~QueryExecutor();

  // `tenant`: whose views there are.
  SqlResult<std::unique_ptr<QueryCursor>> query(std::string_view tenant, std::string_view sql, const Row& params,
                                                const QueryLimits& limits);
  // The views that a statement reads; else what is wrong with it.
  SqlResult<std::vector<std::string>> views_of(std::string_view tenant, std::string_view sql);
  std::uint64_t rows_visited_last() const { return rows_visited_last_; }  // in the store, by some latest statement

 private:
  class Running;
  SqlResult<std::unique_ptr<QuerySession>> take(std::string_view tenant);
  void give_back(std::unique_ptr<QuerySession> session);

  const QuerySource& source_;
  std::atomic<std::uint64_t> rows_visited_last_{0};
  std::mutex mutex_;
  std::vector<std::unique_ptr<QuerySession>> idle_;
};

}  // namespace tidemill::views
