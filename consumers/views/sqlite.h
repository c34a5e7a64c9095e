#pragma once

#include <memory>
#include <string>

#include "consumers/views/views.h"

struct sqlite3;
struct sqlite3_stmt;

namespace tidemill::views {

// Process-wide settings of SQLite: no memory statistics (they cost five times the CPU with two threads), MULTITHREAD,
// an allocator that counts where an SqlAccount stands on the thread. Any thread; needed before SQLite is used by other
// means than a Connection. Calling it again changes nothing.
void configure_sqlite();

// ident, timestamp, number. SQLite's code, 0 for fine.
int register_functions(sqlite3* db);

// An in-memory SQLite connection without a mutex: one thread at a time. Double-quoted strings off, our functions on,
// no extensions, no ATTACH, no triggers or views of its own.
class Connection {
 public:
  // `files`: the name of what it keeps temporary files with; nullptr: SQLite's own.
  static SqlResult<std::unique_ptr<Connection>> open(const char* files = nullptr);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  sqlite3* handle() const { return db_; }
  std::string error() const;  // of the last call

 private:
  explicit Connection(sqlite3* db) : db_(db) {}
  sqlite3* db_;
};

struct StatementDeleter {
  void operator()(sqlite3_stmt* s) const;
};
using Statement = std::unique_ptr<sqlite3_stmt, StatementDeleter>;

}  // namespace tidemill::views
