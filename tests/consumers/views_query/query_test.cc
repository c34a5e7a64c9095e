#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <random>

#include "consumers/views/catalog.h"
#include "consumers/views/sql_account.h"
#include "tests/consumers/views_store/views_world.h"

namespace tidemill::views {
namespace {

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

TEST_F(QueryTest, AnswersLikeAPlainTable) {
  std::mt19937 random(11);
  const auto pick = [&](std::vector<std::string> from) { return from[random() % from.size()]; };
  const auto condition = [&] {
    const std::string column = pick({"Country", "Product", "Product", "units", "day"});
    const std::string value =
        pick({"1", "2", "2.5", "'1'", "'10'", "'abc'", "'Austria'", "'austria'", "''", "-3", "NULL", "50"});
    const std::string other = pick({"10", "'ab'", "'Chile'", "'b'", "100", "'zz'"});
    return pick({column + " = " + value, column + " > " + value, column + " >= " + value, column + " < " + value,
                 column + " <= " + value, column + " IS " + value, column + " IN (" + value + "," + other + ")",
                 column + " BETWEEN " + value + " AND " + other, column + " GLOB 'ab*'", column + " GLOB '1*'",
                 column + " LIKE 'A%'", column + " IS NOT NULL", "Country = 'Austria' AND " + column + " > " + value,
                 "Country = 'Chile' AND Product IN (1, '1', 'abc')"});
  };
  for (int i = 0; i < 600; ++i) {
    std::string where = condition();
    if (random() % 3 == 0) where += pick({" AND ", " OR "}) + condition();
    std::string sql = "SELECT * FROM sales WHERE " + where;
    const bool ordered = random() % 2 == 0;
    if (ordered) {
      sql +=
          pick({" ORDER BY Country, Product", " ORDER BY Country DESC, Product DESC",
                " ORDER BY units, Country, Product", " ORDER BY Country, Product DESC", " ORDER BY Product, Country"});
    }
    if (ordered && random() % 2 == 0) sql += " LIMIT 7 OFFSET 2";
    if (random() % 5 == 0)
      sql = "SELECT Country, count(*), sum(units) FROM sales WHERE " + where + " GROUP BY Country ORDER BY 1";
    auto ours = ask(sql).rows;
    auto theirs = plain(sql);
    if (sql.find("ORDER BY") == std::string::npos) {
      std::sort(ours.begin(), ours.end());
      std::sort(theirs.begin(), theirs.end());
    }
    ASSERT_EQ(ours, theirs) << sql;
  }
}

// Columns that are text whatever the records hold take numbers as text, on the key and beside it.
TEST_F(QueryTest, NumbersFindTextWhereAColumnIsAlwaysText) {
  const auto made = world_->views->create(
      "codes",
      "SELECT ident(Product) AS code, upper(Country) AS land, count(*) AS n, last(ident(Product)) AS again "
      "FROM retail WHERE Country IS NOT NULL AND ident(Product) IS NOT NULL GROUP BY code, land");
  ASSERT_TRUE(std::holds_alternative<ViewInfo>(made)) << std::get<SqlError>(made).message;
  world_->wait("codes", last_);
  ASSERT_EQ(sqlite3_exec(plain_,
                         "CREATE TABLE codes(code TEXT, land TEXT, n, again TEXT);"
                         "INSERT INTO codes SELECT CAST(Product AS TEXT), upper(Country), sum(n), Product FROM sales "
                         "WHERE Country IS NOT NULL AND Product IS NOT NULL GROUP BY 1, 2",
                         nullptr, nullptr, nullptr),
            SQLITE_OK)
      << sqlite3_errmsg(plain_);
  std::mt19937 random(12);
  const auto pick = [&](std::vector<std::string> from) { return from[random() % from.size()]; };
  for (int i = 0; i < 400; ++i) {
    const std::string column = pick({"code", "code", "land", "n", "again"});
    const std::string value = pick({"1", "2", "2.5", "-3", "'1'", "'abc'", "10", "NULL", "x'31'", "99"});
    const std::string other = pick({"10", "'ab'", "'z'", "100", "1"});
    std::string sql =
        "SELECT * FROM codes WHERE " +
        pick({column + " = " + value, column + " >= " + value, column + " > " + value, column + " < " + value,
              column + " IS " + value, column + " IN (" + value + "," + other + ")",
              column + " BETWEEN " + value + " AND " + other, column + " GLOB '1*'", column + " GLOB '-*'",
              "code = " + value + " AND land > 'B'", "code = " + value + " AND land IN ('CHILE', " + other + ")"});
    auto ours = ask(sql).rows;
    auto theirs = plain(sql);
    std::sort(ours.begin(), ours.end());
    std::sort(theirs.begin(), theirs.end());
    ASSERT_EQ(ours, theirs) << sql;
  }
  EXPECT_EQ(ask("SELECT * FROM codes WHERE code = ? AND land = 'CHILE'", {std::int64_t{10}}).rows.size(), 1u);
  EXPECT_EQ(visited("SELECT * FROM codes WHERE code = 10 AND land = 'CHILE'"), 1u);
  EXPECT_EQ(visited("SELECT * FROM codes WHERE code GLOB '10*'"), 4u);
  // A column without affinity is compared as it is, whatever the other one's.
  for (const char* sql : {"SELECT * FROM sales s JOIN codes c ON c.code = s.Product",
                          "SELECT * FROM codes c CROSS JOIN sales s ON s.Country = 'Chile' AND s.Product = c.code",
                          "SELECT * FROM codes c CROSS JOIN sales s ON s.Country = 'Chile' AND s.Product > c.code",
                          "SELECT * FROM sales s CROSS JOIN codes c ON c.code > s.Product",
                          "SELECT * FROM sales s CROSS JOIN codes c ON s.Product >= c.code AND c.land > s.Country"}) {
    auto ours = ask(sql).rows;
    auto theirs = plain(sql);
    std::sort(ours.begin(), ours.end());
    std::sort(theirs.begin(), theirs.end());
    EXPECT_EQ(ours, theirs) << sql;
    EXPECT_FALSE(theirs.empty()) << sql;
  }
  // A CAST to a number compares text as numbers, so what is not one of the keys may be equal all the same.
  for (int i = 0; i < 400; ++i) {
    const std::string column = pick({"code", "code", "land", "Product", "Country", "again"});
    const bool sale = column == "Product" || column == "Country";
    const std::string value =
        pick({"CAST('1' AS INTEGER)", "CAST(? AS INTEGER)", "CAST('10' AS REAL)", "cast(2.5 AS NUMERIC)",
              "CAST(10 AS TEXT)", "'10'", "10", "(SELECT CAST('2' AS INT))", "CAST(CAST('-3' AS TEXT) AS DOUBLE)"});
    const std::string sql =
        std::string("SELECT * FROM ") + (sale ? "sales" : "codes") + " WHERE " +
        pick({column + " = " + value, column + " >= " + value, column + " > " + value, column + " < " + value,
              column + " <= " + value, column + " IN (" + value + ", 'abc')", column + " IN (SELECT " + value + ")",
              column + " IN (SELECT CAST(10 AS INT) UNION ALL SELECT '010')",
              column + " BETWEEN " + value + " AND CAST('99' AS INTEGER)",
              (sale ? "Country = " : "code = ") + value + (sale ? " AND Product > 1" : " AND land > 'B'")});
    const bool asks = sql.find('?') != std::string::npos;
    auto ours = ask(sql, asks ? Row{std::string("10")} : Row{}).rows;
    auto theirs = plain(asks ? std::string(sql).replace(sql.find('?'), 1, "'10'") : sql);
    std::sort(ours.begin(), ours.end());
    std::sort(theirs.begin(), theirs.end());
    ASSERT_EQ(ours, theirs) << sql;
  }
  EXPECT_FALSE(ask("SELECT * FROM codes WHERE code = CAST(? AS INTEGER)", {std::string("10")}).rows.empty());
  // Text is looked up as before.
  EXPECT_EQ(visited("SELECT CAST(n AS INTEGER) FROM codes WHERE code = '10' AND land = 'CHILE'"), 1u);
  const std::uint64_t of_ten = visited("SELECT * FROM codes WHERE code = '10'");
  EXPECT_EQ(visited("SELECT CAST(n AS INTEGER) FROM codes WHERE code = ?", {std::string("10")}), of_ten);
  const auto dropped = world_->views->drop("codes");
  ASSERT_TRUE(std::get<bool>(dropped));
}

TEST_F(QueryTest, ReadsNoMoreRowsThanTheKeyAsksFor) {
  EXPECT_EQ(visited("SELECT * FROM sales"), count_);
  EXPECT_EQ(visited("SELECT * FROM sales WHERE Country = 'Austria' AND Product = 'abc'"), 1u);
  EXPECT_EQ(visited("SELECT * FROM sales WHERE Country = 'Austria'"), 13u);
  EXPECT_EQ(visited("SELECT * FROM sales WHERE Country IN ('Austria', 'Chile', 'Nowhere')"), 26u);
  EXPECT_EQ(visited("SELECT * FROM sales WHERE Country IS NULL"), 13u);
  EXPECT_EQ(visited("SELECT * FROM sales WHERE Country > 'Chile'"), 26u);
  EXPECT_EQ(visited("SELECT * FROM sales WHERE Country GLOB 'Ch*'"), 13u);
  EXPECT_EQ(visited("SELECT * FROM sales WHERE Country = 'Austria' AND Product BETWEEN 1 AND 3"), 3u);
  EXPECT_EQ(visited("SELECT * FROM sales WHERE Country = 'Austria' AND Product IN (1, 'abc')"), 2u);
  EXPECT_EQ(visited("SELECT * FROM sales ORDER BY Country, Product LIMIT 3"), 3u);
  EXPECT_EQ(visited("SELECT * FROM sales ORDER BY Country DESC, Product DESC LIMIT 3"), 3u);
}

TEST_F(QueryTest, SortsOnlyWhatIsNotInOrder) {
  EXPECT_EQ(plan("SELECT * FROM sales ORDER BY Country, Product").find("TEMP B-TREE"), std::string::npos);
  EXPECT_EQ(plan("SELECT * FROM sales WHERE Country = 'Chile' ORDER BY Product").find("TEMP B-TREE"),
            std::string::npos);
  EXPECT_NE(plan("SELECT * FROM sales ORDER BY Product").find("TEMP B-TREE"), std::string::npos);
  EXPECT_NE(plan("SELECT * FROM sales ORDER BY Country, Product DESC").find("TEMP B-TREE"), std::string::npos);
}

TEST_F(QueryTest, ExplainSaysInWordsWhatIsRead) {
  const auto words = [](const std::string& sql) {
    std::string all;
    for (const auto& row : ask("EXPLAIN " + sql).rows) all += row + "\n";
    return all;
  };
  EXPECT_EQ(words("SELECT * FROM sales"), "sales: the whole view sales\n");
  EXPECT_EQ(words("SELECT * FROM sales AS s WHERE Country = ? AND Product = ?"),
            "s: one row of sales by its whole key (Country, Product)\n");
  EXPECT_EQ(words("SELECT * FROM sales WHERE Country IS NULL"),
            "sales: the rows of sales whose key begins with Country\n");
  EXPECT_EQ(words("SELECT * FROM sales WHERE Country IN ('a', 'b')"),
            "sales: a read of sales for each entry of the IN list of Country\n");
  EXPECT_EQ(words("SELECT * FROM sales WHERE Country = 'a' AND Product > 1 AND Product <= 5"),
            "sales: a range of sales: Product >, Product <= (Country given)\n");
  EXPECT_EQ(words("SELECT * FROM sales WHERE Country GLOB 'A*'"),
            "sales: a range of sales: Country begins as the pattern does\n");
  EXPECT_EQ(words("SELECT * FROM sales WHERE units > 5 ORDER BY Country DESC LIMIT 3"),
            "sales: the whole view sales, in the order asked for without sorting, backwards\n"
            "ends when LIMIT is reached\n");
  EXPECT_EQ(words("SELECT * FROM sales ORDER BY units LIMIT 3"), "sales: the whole view sales\nsorts for ORDER BY\n");
  EXPECT_EQ(words("SELECT count(*) FROM sales LIMIT 1"), "sales: the whole view sales\n");
  EXPECT_EQ(words("SELECT units, count(*) FROM sales GROUP BY units"),
            "sales: the whole view sales\nkeeps all groups or values in memory for GROUP BY\n");
  EXPECT_EQ(words("WITH a AS (SELECT * FROM sales WHERE Country = 'x') SELECT * FROM a JOIN sales b "
                  "ON b.Country = a.Country AND b.Product = a.Product"),
            "sales: the rows of sales whose key begins with Country\n"
            "b: for each of those, one row of sales by its whole key (Country, Product)\n");
  EXPECT_EQ(words("SELECT j.value FROM sales, json_each('[1]') AS j"),
            "sales: the whole view sales\nj: for each of those, its elements\n");
  EXPECT_EQ(words("SELECT 1"), "SCAN CONSTANT ROW\n");
  EXPECT_EQ(visited("EXPLAIN SELECT * FROM sales"), 0u);
  EXPECT_EQ(ask("EXPLAIN SELECT * FROM sales").names[0].name, "plan");
  EXPECT_EQ(refusal("EXPLAIN\nSELECT nope FROM sales").message.substr(0, 18), "line 2, column 8: ");
  EXPECT_EQ(refusal("EXPLAIN SELECT * FROM salse").code, "no_such_view");
  EXPECT_EQ(refusal("EXPLAIN DELETE FROM sales").code, "not_read_only");
  // SQLite's own plan is as it was; a plan prepared in words is nobody else's.
  EXPECT_NE(plan("SELECT * FROM sales").find("VIRTUAL TABLE INDEX"), std::string::npos);
  EXPECT_EQ(plan("SELECT * FROM sales").find("whole"), std::string::npos);
  EXPECT_EQ(visited("SELECT * FROM sales WHERE Country = 'Austria'"), 13u);
}

TEST_F(QueryTest, SaysWhatTheAnswerIs) {
  const auto result =
      ask("SELECT Country AS c, n, sum(units) FROM sales WHERE Country = ? GROUP BY 1, 2", {std::string("Chile")});
  ASSERT_EQ(result.names.size(), 3u);
  EXPECT_EQ(result.names[0].name, "c");
  EXPECT_EQ(result.names[1].type, "integer");
  EXPECT_EQ(result.as_of.position, Position::through(last_));
  EXPECT_FALSE(result.as_of.token.empty());
}

TEST_F(QueryTest, SaysWhereAStatementIsWrong) {
  EXPECT_EQ(refusal("SELECT n,\n  'Ü', nope FROM sales").message.substr(0, 18), "line 2, column 8: ");
  EXPECT_EQ(refusal("SELCT 1").message.substr(0, 18), "line 1, column 1: ");
}

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

TEST_F(QueryTest, BytesAreMarkedAsSuch) {
  EXPECT_EQ(ask("SELECT x'00ff', x''").rows, std::vector<std::string>{R"({"_base64":"AP8="}|{"_base64":""})"});
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

// Rows are asked for while the views go on: all of one moment, and the statement beside it of another.
TEST_F(QueryTest, ACursorNeedsItsParametersOnlyAtFirst) {
  const std::string text = "a text that is too long to lie within the object that holds it";
  auto params = std::make_unique<Row>(Row{text});
  const auto cursor = world_->views->query("SELECT ?1, Country FROM sales WHERE ?1 IS NOT NULL", *params, {});
  std::get<std::string>((*params)[0]).assign(text.size(), 'x');  // what it would read if it still looked there
  params.reset();
  ASSERT_TRUE(std::holds_alternative<std::unique_ptr<QueryCursor>>(cursor));
  EXPECT_EQ(std::get<std::string>(std::get<0>(std::get<0>(cursor)->next(1))[0][0]), text);
}

TEST_F(QueryTest, AStatementAskedAgainAnswersAnew) {
  const std::string sql = "SELECT Country, units FROM sales WHERE Country = ? ORDER BY Product";
  const auto austria = ask(sql, {std::string("Austria")});
  const auto chile = ask(sql, {std::string("Chile")});
  ASSERT_EQ(austria.rows.size(), 13u);
  EXPECT_NE(austria.rows, chile.rows);
  EXPECT_EQ(ask(sql, {std::string("Austria")}, {.rows_max = 3}).rows.size(), 3u) << "cut";
  EXPECT_EQ(refusal(sql).code, "invalid_parameters");
  EXPECT_EQ(ask(sql, {std::string("Austria")}).rows, austria.rows) << "after it was cut, and refused";
  ask("EXPLAIN " + sql);
  EXPECT_EQ(ask(sql, {std::string("Chile")}).rows, chile.rows) << "after it was explained";
  // What a pattern may be read with depends on its value: SQLite makes the statement anew.
  const std::string like = "SELECT count(*) FROM sales WHERE Product GLOB ?";
  EXPECT_EQ(ask(like, {std::string("ab*")}).rows, ask("SELECT count(*) FROM sales WHERE Product GLOB 'ab*'").rows);
  EXPECT_EQ(ask(like, {std::string("*")}).rows, ask("SELECT count(*) FROM sales WHERE Product GLOB '*'").rows);
  // The same statement twice at one time.
  const auto first = world_->views->query(sql, {std::string("Austria")}, {});
  const auto second = world_->views->query(sql, {std::string("Chile")}, {});
  EXPECT_EQ(std::get<0>(std::get<0>(first)->next(1))[0][0], Value(std::string("Austria")));
  EXPECT_EQ(std::get<0>(std::get<0>(second)->next(1))[0][0], Value(std::string("Chile")));
}

TEST_F(QueryTest, ACursorReadsTheMomentItBeganWith) {
  auto cursor = world_->views->query("SELECT count(*) OVER () AS n, sum(units) OVER () FROM sales", {}, {});
  auto first = world_->views->query("SELECT * FROM sales ORDER BY Country, Product", {}, {});
  QueryCursor& c = *std::get<0>(first);
  std::vector<std::string> rows;
  const auto begun = c.next(3);
  for (const Row& row : std::get<0>(begun)) rows.push_back(ViewsWorld::text(row));
  EXPECT_EQ(rows.size(), 3u);
  last_ = world_->put(world_->stream(), {R"({"InvoiceNo":"1","Country":"Zz","Product":"new","Quantity":1,"Day":1})"});
  world_->wait("sales", last_);
  EXPECT_EQ(ask("SELECT count(*) FROM sales").rows, std::vector<std::string>{std::to_string(count_ + 1)});
  for (;;) {
    const auto next = c.next(10);
    for (const Row& row : std::get<0>(next)) rows.push_back(ViewsWorld::text(row));
    if (std::get<0>(next).empty()) break;
  }
  EXPECT_EQ(rows.size(), count_);
  EXPECT_LT(c.as_of().position, Position::through(last_));
  EXPECT_EQ(std::get<std::int64_t>(std::get<0>(std::get<0>(cursor)->next(1))[0][0]), static_cast<std::int64_t>(count_));
  ++count_;
  sqlite3_exec(plain_, "INSERT INTO sales VALUES('Zz', 'new', 1, 1, 1)", nullptr, nullptr, nullptr);
}

}  // namespace
}  // namespace tidemill::views
