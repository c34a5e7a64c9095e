// What a statement may not do, and may not take.
#include "consumers/views/sql_account.h"
#include "tests/consumers/views_query/query_world.h"

namespace tidemill::views {
namespace {

TEST_F(QueryTest, RefusesWhatIsNotARead) {
  for (const char* sql : {"DELETE FROM sales", "INSERT INTO sales VALUES(1,2,3,4,5)", "UPDATE sales SET n = 1",
                          "DROP TABLE sales", "CREATE TABLE x(a)", "ATTACH 'x.db' AS x", "PRAGMA journal_mode", "BEGIN",
                          "VACUUM", "CREATE TEMP TABLE x AS SELECT 1", "REINDEX", "DETACH main"}) {
    EXPECT_EQ(refusal(sql).code, "not_read_only") << sql;
  }
  EXPECT_EQ(refusal("SELECT 1; SELECT 2").code, "invalid_sql");
  EXPECT_EQ(refusal("SELECT 1; DROP TABLE sales").code, "invalid_sql");
  EXPECT_EQ(refusal("").code, "invalid_sql");
  EXPECT_EQ(refusal(" ; -- nothing").code, "invalid_sql");
  EXPECT_EQ(refusal("SELECT * FROM pragma_table_info('sales')").code, "not_read_only");
  EXPECT_EQ(refusal("SELECT * FROM salse").code, "no_such_view");
  EXPECT_NE(refusal("SELECT * FROM salse").message.find("Did you mean sales?"), std::string::npos);
  EXPECT_EQ(refusal("SELECT * FROM sales WHERE Country = \"Chile\"").code, "invalid_sql");
  EXPECT_EQ(refusal("SELECT ?, ?", {std::int64_t{1}}).code, "invalid_parameters");
  EXPECT_EQ(ask("SELECT 1; -- and no more").rows, std::vector<std::string>{"1"});
}

// fts3_tokenizer() gives an address away and, with a second value, takes one to jump to.
TEST_F(QueryTest, OnlyKnownFunctionsAndTablesAreThere) {
  for (const char* sql :
       {"SELECT fts3_tokenizer('simple')", "SELECT fts3_tokenizer(?, ?)", "SELECT load_extension('x')",
        "SELECT sqlite_log(1, 'x')", "SELECT rtreecheck('sales')", "SELECT nonesuch(1)"}) {
    const SqlError e = refusal(
        sql, std::string_view(sql).ends_with("?, ?)") ? Row{std::string("simple"), std::string("AAAAAAAA")} : Row{});
    EXPECT_EQ(e.code, "invalid_sql") << sql;
    EXPECT_NE(e.message.find("function"), std::string::npos) << e.message;
  }
  for (const char* table : {"fts3tokenize", "dbstat", "sqlite_stmt"}) {
    for (const std::string& columns : {std::string("*"), std::string("count(*)")}) {
      EXPECT_EQ(refusal("SELECT " + columns + " FROM " + table).code, "no_such_view") << table;
    }
  }
  EXPECT_EQ(ask("SELECT value FROM json_each('[1,2]')").rows, (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(ask("SELECT j.value FROM sales, json_each(json_array(n)) AS j LIMIT 1").rows,
            std::vector<std::string>{"1"});
  EXPECT_EQ(ask("SELECT count(*) FROM json_tree('[[1]]')").rows, std::vector<std::string>{"3"});
  EXPECT_EQ(ask("SELECT count(*) FROM SALES").as_of.position, Position::through(last_));
  EXPECT_EQ(ask("WITH c(x) AS (VALUES(1), (2)) SELECT count(*) FROM c").rows, std::vector<std::string>{"2"});
  EXPECT_EQ(ask("SELECT row_number() OVER (ORDER BY n), group_concat(n), '[1]' ->> 0, date('now') > '2000' FROM sales")
                .rows.size(),
            1u);
}

TEST_F(QueryTest, LimitsCutOrEndAStatement) {
  Collected result = ask("SELECT * FROM sales", {}, {.rows_max = 5});
  EXPECT_TRUE(result.truncated);
  EXPECT_EQ(result.rows.size(), 5u);
  result = ask("SELECT * FROM sales", {}, {.rows_max = count_});
  EXPECT_FALSE(result.truncated);
  EXPECT_EQ(result.rows.size(), count_);
  EXPECT_TRUE(ask("SELECT * FROM sales", {}, {.bytes_max = 200}).truncated);
  // Endless, so that the time is over whatever the machine does.
  const std::string endless = "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c) SELECT ";
  EXPECT_EQ(refusal(endless + "sum(x) FROM c", {}, {.time_max = std::chrono::milliseconds(0)}).code, "sql_timeout");
  EXPECT_TRUE(ask(endless + "x FROM c", {}, {.rows_max = ~0ull, .bytes_max = 1 << 20}).truncated);
  const auto short_time = std::chrono::milliseconds(30);
  EXPECT_TRUE(ask(endless + "x FROM c", {}, {.rows_max = ~0ull, .bytes_max = ~0ull, .time_max = short_time}).truncated);
  // A result that is to be whole is that, or an error.
  const std::string late = " UNION ALL SELECT max(x) FROM c";
  const std::string some = "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c) SELECT 1" + late;
  EXPECT_EQ(refusal(some, {}, {.time_max = short_time, .whole = true}).code, "sql_timeout");
  EXPECT_TRUE(ask(some, {}, {.time_max = short_time}).truncated);
  EXPECT_EQ(refusal(some, {}, {.cancelled = [] { return true; }}).code, "cancelled");
  // The connection is as good as new.
  EXPECT_EQ(ask("SELECT count(*) FROM sales").rows, std::vector<std::string>{std::to_string(count_)});
}

// A statement of the lowest key must not take the machine: not the thread, in one function or in straight code, nor the
// memory, nor the disk.
TEST_F(QueryTest, AStatementHoldsNoMoreThanItMay) {
  constexpr auto kLong = std::chrono::minutes(5);
  const auto times = [](std::string what, int n) {
    std::string all = what;
    for (int i = 1; i < n; ++i) all += ", " + what;
    return all;
  };
  // One value, forty of them in a row, one a hundred times, and more columns than there may be.
  EXPECT_EQ(refusal("SELECT length(hex(zeroblob(5000000)))").message, "SQLite says: string or blob too big.");
  SqlError no = refusal("SELECT " + times("hex(zeroblob(2000000))", 40), {}, {.time_max = kLong});
  EXPECT_EQ(no.code, "invalid_sql");
  EXPECT_TRUE(no.message.starts_with("The statement needs more memory than the 32 MiB")) << no.message;
  no = refusal("SELECT " + times("h", 100) + " FROM (SELECT hex(zeroblob(2000000)) AS h LIMIT 1)", {},
               {.time_max = kLong});
  EXPECT_EQ(no.code, "invalid_sql");
  EXPECT_TRUE(no.message.starts_with("One row is longer than ") ||
              no.message.starts_with("The statement needs more memory than "))
      << no.message;
  EXPECT_EQ(refusal("SELECT " + times("1", 600)).code, "invalid_sql");
  // Sorting, what is the same twice, what is kept: into files that are counted, and gone afterwards.
  const std::string numbers = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t LIMIT 1000)";
  const SqlBounds before = sql_bounds();
  SqlBounds bounds = before;
  bounds.files = 8 << 20;
  set_sql_bounds(bounds);
  for (const std::string& sql :
       {std::string("WITH RECURSIVE t(n, h) AS (SELECT 1, zeroblob(1) UNION SELECT n + 1, randomblob(100000) FROM t) "
                    "SELECT count(*) FROM t"),
        numbers + " SELECT n FROM t ORDER BY randomblob(100000)",
        numbers + ", m AS MATERIALIZED (SELECT n, randomblob(100000) AS h FROM t) SELECT count(*) FROM m a, m b "
                  "WHERE a.h = b.h"}) {
    no = refusal(sql, {}, {.time_max = kLong});
    EXPECT_EQ(no.code, "invalid_sql") << sql;
    EXPECT_TRUE(no.message.find("more than 8 MiB of temporary files") != no.message.npos) << sql << no.message;
    EXPECT_EQ(sql_pool().files.load(), 0u) << sql;
    EXPECT_EQ(ask(numbers + " SELECT n FROM t ORDER BY randomblob(5000)", {}, {.time_max = kLong}).rows.size(), 1'000u);
  }
  set_sql_bounds(before);
  EXPECT_LT(sql_pool().memory.load(), 8u << 20) << "what statements held has been given back";
  // A hundred long values in straight code: no jump, where SQLite would look at its clock.
  std::string straight = "SELECT length(hex(zeroblob(3000000)))";
  for (int i = 0; i < 100; ++i) straight += " + length(hex(zeroblob(" + std::to_string(3'000'000 + i) + ")))";
  int looks = 0;
  EXPECT_EQ(refusal(straight, {}, {.time_max = kLong, .cancelled = [&] { return ++looks > 5; }}).code, "cancelled");
  EXPECT_LT(looks, 20);
  EXPECT_EQ(ask("SELECT count(*) FROM sales").rows, std::vector<std::string>{std::to_string(count_)});
}

}  // namespace
}  // namespace tidemill::views
