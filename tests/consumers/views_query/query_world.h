#pragma once

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "consumers/views/catalog.h"
#include "tests/consumers/views_store/views_world.h"

namespace tidemill::views {

// What a statement answered.
struct Collected {
  std::vector<Column> names;
  AsOf as_of;
  std::vector<std::string> rows;
  bool truncated = false;
};

// A view `sales` over two key columns, one of them of mixed types, and the same rows in a plain table.
class QueryTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    world_ = new ViewsWorld;
    world_->open();
    world_->stream();
    const auto made = world_->views->create(
        "sales",
        "SELECT Country, Product, count(*) AS n, sum(Quantity) AS units, min(Day) AS day FROM retail "
        "GROUP BY Country, Product");
    ASSERT_TRUE(std::holds_alternative<ViewInfo>(made)) << std::get<SqlError>(made).message;
    sqlite3_open(":memory:", &plain_);
    sqlite3_exec(plain_, "CREATE TABLE sales(Country, Product, n, units, day)", nullptr, nullptr, nullptr);
    std::mt19937 random(3);
    std::vector<std::string> records;
    for (const char* country : {"null", "\"Austria\"", "\"Chile\"", "\"austria\"", "\"\"", "\"Ünkraut\""}) {
      for (const char* product : {"1", "2", "10", "2.5", "\"1\"", "\"10\"", "\"abc\"", "\"abd\"", "\"ab\"", "null",
                                  "\"ab*\"", "-3", "\"z\""}) {
        const int units = static_cast<int>(random() % 100);
        const int day = static_cast<int>(random() % 5);
        records.push_back(std::string(R"({"InvoiceNo":"1","Country":)") + country + R"(,"Product":)" + product +
                          R"(,"Quantity":)" + std::to_string(units) + R"(,"Day":)" + std::to_string(day) + "}");
        const auto sql_value = [](std::string v) {
          std::replace(v.begin(), v.end(), '"', '\'');
          return v;
        };
        const std::string insert = "INSERT INTO sales VALUES(" + sql_value(country) + "," + sql_value(product) + ",1," +
                                   std::to_string(units) + "," + std::to_string(day) + ")";
        ASSERT_EQ(sqlite3_exec(plain_, insert.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << insert;
      }
    }
    count_ = records.size();
    last_ = world_->put(world_->stream(), records);
    world_->wait("sales", last_);
  }
  static void TearDownTestSuite() {
    sqlite3_close(plain_);
    delete world_;
  }

  static SqlResult<Collected> run(const std::string& sql, const Row& params, const QueryLimits& limits,
                                  std::size_t at_once = 7) {
    auto cursor = world_->views->query(sql, params, limits);
    if (const auto* failed = std::get_if<SqlError>(&cursor)) return *failed;
    QueryCursor& c = *std::get<0>(cursor);
    Collected result{c.columns(), c.as_of(), {}, false};
    for (;;) {
      const auto rows = c.next(at_once);
      if (const auto* failed = std::get_if<SqlError>(&rows)) return *failed;
      for (const Row& row : std::get<0>(rows)) result.rows.push_back(ViewsWorld::text(row));
      EXPECT_LE(std::get<0>(rows).size(), at_once);
      if (std::get<0>(rows).empty()) break;
    }
    EXPECT_TRUE(std::get<0>(c.next(1)).empty()) << "the end is the end";
    result.truncated = c.truncated();
    return result;
  }
  static Collected ask(const std::string& sql, const Row& params = {}, const QueryLimits& limits = {}) {
    auto result = run(sql, params, limits);
    const auto* failed = std::get_if<SqlError>(&result);
    EXPECT_EQ(failed, nullptr) << sql << ": " << failed->message;
    return failed == nullptr ? std::get<0>(result) : Collected();
  }
  static SqlError refusal(const std::string& sql, const Row& params = {}, const QueryLimits& limits = {}) {
    const auto end = run(sql, params, limits);
    const auto* failed = std::get_if<SqlError>(&end);
    EXPECT_NE(failed, nullptr) << sql;
    return failed == nullptr ? SqlError{} : *failed;
  }
  static std::vector<std::string> plain(const std::string& sql) {
    std::vector<std::string> rows;
    sqlite3_stmt* s = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(plain_, sql.c_str(), -1, &s, nullptr), SQLITE_OK) << sql;
    while (sqlite3_step(s) == SQLITE_ROW) {
      Row row;
      for (int i = 0; i < sqlite3_column_count(s); ++i) {
        switch (sqlite3_column_type(s, i)) {
          case SQLITE_INTEGER:
            row.push_back(std::int64_t{sqlite3_column_int64(s, i)});
            break;
          case SQLITE_FLOAT:
            row.push_back(sqlite3_column_double(s, i));
            break;
          case SQLITE_NULL:
            row.push_back({});
            break;
          default:
            row.push_back(std::string(reinterpret_cast<const char*>(sqlite3_column_text(s, i))));
        }
      }
      rows.push_back(ViewsWorld::text(row));
    }
    sqlite3_finalize(s);
    return rows;
  }
  static std::uint64_t visited(const std::string& sql, const Row& params = {}) {
    ask(sql, params);
    return static_cast<Catalog&>(*world_->all).rows_visited_last();
  }
  static std::string plan(const std::string& sql) {
    std::string all;
    for (const auto& row : ask("EXPLAIN QUERY PLAN " + sql).rows) all += row + "\n";
    return all;
  }

  static inline ViewsWorld* world_ = nullptr;
  static inline sqlite3* plain_ = nullptr;
  static inline std::size_t count_ = 0;
  static inline Sequence last_;
};

}  // namespace tidemill::views
