#pragma once

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "consumers/views/sqlite.h"
#include "tests/consumers/views/memory_view.h"

namespace tidemill::views {

// The same records in an ordinary SQLite table, t(seq, data), for ordinary SQL: what a view must agree with.
class PlainTable {
 public:
  explicit PlainTable(const Records& records) {
    configure_sqlite();  // in use, it cannot be any more: later tests of the process would count no memory
    sqlite3_open(":memory:", &db_);
    run("CREATE TABLE t(seq INTEGER PRIMARY KEY, data TEXT)");
    sqlite3_stmt* insert = nullptr;
    sqlite3_prepare_v2(db_, "INSERT INTO t VALUES(?, ?)", -1, &insert, nullptr);
    run("BEGIN");
    for (const Record& r : records.all()) {
      sqlite3_bind_int64(insert, 1, static_cast<std::int64_t>(r.sequence.value()));
      sqlite3_bind_text(insert, 2, r.data.data(), static_cast<int>(r.data.size()), SQLITE_TRANSIENT);
      EXPECT_EQ(sqlite3_step(insert), SQLITE_DONE);
      sqlite3_reset(insert);
    }
    run("COMMIT");
    sqlite3_finalize(insert);
  }
  ~PlainTable() { sqlite3_close(db_); }
  PlainTable(const PlainTable&) = delete;
  PlainTable& operator=(const PlainTable&) = delete;

  // As text() writes rows.
  std::vector<std::string> rows(const std::string& sql) {
    std::vector<std::string> out;
    sqlite3_stmt* statement = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(db_, sql.c_str(), -1, &statement, nullptr), SQLITE_OK) << sqlite3_errmsg(db_);
    while (sqlite3_step(statement) == SQLITE_ROW) {
      Row row;
      for (int i = 0; i < sqlite3_column_count(statement); ++i) {
        switch (sqlite3_column_type(statement, i)) {
          case SQLITE_INTEGER:
            row.emplace_back(sqlite3_column_int64(statement, i));
            break;
          case SQLITE_FLOAT:
            row.emplace_back(sqlite3_column_double(statement, i));
            break;
          case SQLITE_NULL:
            row.emplace_back();
            break;
          default:
            row.emplace_back(std::string(reinterpret_cast<const char*>(sqlite3_column_text(statement, i))));
        }
      }
      out.push_back(text(row));
    }
    EXPECT_EQ(sqlite3_finalize(statement), SQLITE_OK) << sqlite3_errmsg(db_);
    return out;
  }

 private:
  void run(const char* sql) { EXPECT_EQ(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr), SQLITE_OK); }
  sqlite3* db_ = nullptr;
};

// The rows of a definition over some records, which come in batches that are cut anew for each seed; where the batches
// are cut and what is parked in them must not change a byte.
inline std::vector<std::string> rows_however_cut(std::string_view sql, const Records& records) {
  MemoryView whole(sql);
  whole.apply(records.all());
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    std::mt19937_64 random(seed);
    MemoryView cut(sql);
    for (std::size_t at = 0; at < records.size();) {
      std::size_t n = std::min<std::size_t>(1 + random() % (seed * 20), records.size() - at);
      cut.apply(records.cut(at, n));
      at += n;
    }
    EXPECT_TRUE(cut.bytes() == whole.bytes()) << sql << "\nseed " << seed;
    EXPECT_EQ(cut.parked, whole.parked) << sql << "\nseed " << seed;
  }
  return texts(whole.rows());
}

}  // namespace tidemill::views
