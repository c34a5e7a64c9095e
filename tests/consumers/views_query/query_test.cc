// What statements answer, how much they read for it, and that a cursor stays with the moment it began with.
#include "tests/consumers/views_query/query_world.h"

namespace tidemill::views {
namespace {

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

TEST_F(QueryTest, BytesAreMarkedAsSuch) {
  EXPECT_EQ(ask("SELECT x'00ff', x''").rows, std::vector<std::string>{R"({"_base64":"AP8="}|{"_base64":""})"});
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
