#include <gtest/gtest.h>

#include "tests/consumers/views/memory_view.h"

namespace tidemill::views {
namespace {

std::string joined(const std::vector<std::string>& list) {
  std::string out;
  for (const std::string& s : list) out += (out.empty() ? "" : ",") + s;
  return out;
}
// A definition in a few lines: what it was split into.
std::string shape(std::string_view sql, const SplitOptions& options = {}) {
  Definition d = must_split(sql, options);
  std::string out = "row: " + d.row_sql + "\nfields: " + joined(d.fields) + "\nfinal: " + d.final_sql + "\ncolumns:";
  for (const OutputColumn& c : d.columns) {
    static constexpr const char* kSource[] = {"g", "a", "e"};
    out += " " + c.name + "=" + kSource[static_cast<int>(c.source)] + std::to_string(c.index) + ":" + c.type;
  }
  out += "\naggregates:";
  for (const AggregateCall& a : d.aggregates) {
    out += " " + a.function + (a.distinct ? " distinct" : "") + (a.star ? "*" : "") + "(";
    for (auto i : a.arguments) out += std::to_string(i);
    out += a.filter ? ") if " + std::to_string(*a.filter) : ")";
  }
  std::string clean;  // one blank where there are several
  for (char c : out) {
    if (c != ' ' || (!clean.empty() && clean.back() != ' ' && clean.back() != '\n')) clean += c;
  }
  return clean;
}

TEST(Split, GoldenBareSelect) {
  EXPECT_EQ(shape("select Country, count(*) n, sum(Quantity)/count(Quantity) as mean from retail r where r.Quantity > "
                  "0 group by Country"),
            "row: SELECT f0 , (f1 ) FROM batch WHERE f1 > 0 \n"
            "fields: Country,Quantity\n"
            "final: SELECT ?3 / ?4 \n"
            "columns: Country=g0:any n=a0:integer mean=e0:real\n"
            "aggregates: count*() sum(0) count(0)");
}

TEST(Split, GoldenCreate) {
  Definition d = must_split(
      "-- sales a day\nCREATE MATERIALIZED VIEW IF NOT EXISTS \"days\" AS\n"
      "SELECT date(timestamp(InvoiceDate)) AS day, round(sum(Quantity * UnitPrice), 2) AS revenue,\n"
      "       count(DISTINCT InvoiceNo) FILTER (WHERE Quantity < 0) AS returns\n"
      "FROM \"my-shop.v2\" /* the stream */ GROUP BY 1;",
      {{{"Quantity", FieldType::integer}, {"UnitPrice", FieldType::number}}});
  EXPECT_EQ(d.name, "days");
  EXPECT_TRUE(d.if_not_exists);
  EXPECT_EQ(d.stream, "my-shop.v2");
  EXPECT_EQ(d.groups.size(), 1u);
  EXPECT_EQ(d.groups[0].name, "day");
  EXPECT_EQ(d.groups[0].type, "text");
  EXPECT_EQ(shape(d.text),
            "row: SELECT date ( timestamp ( f0 ) ) , (f1 * f2 ), (f3 ), (f1 < 0 ) IS TRUE FROM batch\n"
            "fields: InvoiceDate,Quantity,UnitPrice,InvoiceNo\n"
            "final: SELECT round ( ?2 , 2 ) \n"
            "columns: day=g0:text revenue=e0:real returns=a1:integer\n"
            "aggregates: sum(0) count distinct(1) if 2");
}

TEST(Split, EqualCallsAndArgumentsAreWorkedOutOnce) {
  EXPECT_EQ(shape("SELECT k, sum(x), avg(x), sum( x ) + 1 AS more, SUM(x) FILTER (WHERE x>0) AS s FROM t GROUP BY k"),
            "row: SELECT f0 , (f1 ), (f1 > 0 ) IS TRUE FROM batch\n"
            "fields: k,x\n"
            "final: SELECT ?2 + 1 \n"
            "columns: k=g0:any sum(x)=a0:real avg(x)=a1:real more=e0:real s=a2:real\n"
            "aggregates: sum(0) avg(0) sum(0) if 1");
}

TEST(Split, NamesMatchJsonCaseExactly) {
  Records r;
  r.add(R"({"id":"a","ID":"b","Id":1})").add(R"({"id":"a","ID":"c","Id":2})");
  EXPECT_EQ(rows_of("SELECT id, count(DISTINCT ID) AS n, sum(Id) AS s FROM t GROUP BY id", r),
            std::vector<std::string>{"a|2|3"});
}

TEST(Split, PathsAndOddNames) {
  Records r;
  r.add(R"({"a":{"b":"x","c":[{"d":1},{"d":5}]},"a.z":7,"my field":2,"select":3})")
      .add(R"({"a":{"b":"x","z":9},"my field":4,"select":3})")
      .add(R"({"a":"not an object","my field":1})");
  EXPECT_EQ(
      rows_of(
          R"(SELECT "a.b" AS b, sum("my field") AS f, max("a.c.1.d") AS d, max(t."a.z") AS z, max(`select`) AS s FROM t GROUP BY "a.b")",
          r),
      (std::vector<std::string>{"NULL|1|NULL|NULL|NULL", "x|6|5|9|3"}));
}

TEST(Split, MetadataColumns) {
  Records r;
  r.add(R"({"a":1})", ContentType::json, "k1")
      .add("\x01\x02", ContentType::bytes, "k2")
      .add(R"({"a":3})", ContentType::bytes, "k2");
  EXPECT_EQ(rows_of("SELECT _key, _shard, min(_sequence) AS first, max(_time) AS t, count(a) AS n, count(data) AS d, "
                    "last(data) AS l FROM t GROUP BY _key, _shard",
                    r),
            (std::vector<std::string>{R"(k1|3|1|2020-09-13T12:26:40.123Z|1|1|{"a":1})",
                                      R"(k2|3|2|2020-09-13T12:26:40.123Z|1|1|{"a":3})"}));
}

TEST(Split, GroupByAliasOrNumberAsInSqlite) {
  Records r;
  r.add(R"({"x":"Ab"})").add(R"({"x":"aB"})").add(R"({"x":"c"})");
  for (const char* by : {"y", "Y", "1", "lower(x)", "LOWER( x )", "(lower(x))"}) {
    EXPECT_EQ(rows_of(std::string("SELECT lower(x) AS y, count(*) AS n FROM t GROUP BY ") + by, r),
              (std::vector<std::string>{"ab|2", "c|1"}))
        << by;
  }
  // A field that the output list names comes before an alias of that name, as a column of the table does.
  EXPECT_EQ(rows_of("SELECT lower(x) AS x, count(*) AS n FROM t GROUP BY x", r),
            (std::vector<std::string>{"ab|1", "ab|1", "c|1"}));
  EXPECT_EQ(must_split("SELECT lower(x) AS x, count(*) AS n FROM t GROUP BY x").warnings.size(), 1u);
  EXPECT_EQ(rows_of("SELECT lower(x) AS y, count(*) AS n FROM t WHERE y = 'ab' GROUP BY y", r),
            std::vector<std::string>{"ab|2"});
}

TEST(Split, GroupTermsInsideExpressions) {
  Records r;
  r.add(R"({"a":1,"b":2,"v":10})").add(R"({"a":1,"b":2,"v":20})");
  EXPECT_EQ(
      rows_of(
          "SELECT a+b AS ab, (a + b)*2 AS twice, CASE WHEN a+b > 2 THEN 'big' END AS size FROM t GROUP BY a+b, a, b",
          r),
      std::vector<std::string>{"3|6|big"});
  EXPECT_EQ(rows_of("SELECT max(a, b, sum(v)) AS m, CASE WHEN sum(v) > 25 THEN 'much' ELSE 'little' END AS c, "
                    "sum(v)*1.0/count(*) AS mean, a || '-' || b AS ab FROM t GROUP BY a, b",
                    r),
            std::vector<std::string>{"30|much|15|1-2"});
  // 2*a+b is not 2*(a+b): the tokens a+b in it are not the group term.
  EXPECT_NE(refusal("SELECT 2*a+b AS x, count(*) FROM t GROUP BY a+b"), "");
  EXPECT_NE(refusal("SELECT a+b*2 AS x, count(*) FROM t GROUP BY a+b"), "");
}

TEST(Split, WithoutGroupByThereIsOneRow) {
  Records r;
  r.add(R"({"v":1.5})").add(R"({"v":2.5})");
  EXPECT_EQ(rows_of("SELECT count(*) AS n, avg(v) AS m FROM t", r), std::vector<std::string>{"2|2"});
  EXPECT_EQ(rows_of("SELECT count(*) AS n FROM t", r), std::vector<std::string>{"2"});
  EXPECT_EQ(rows_of("SELECT count(*) AS n FROM t WHERE v > 9", r), std::vector<std::string>{});
}

TEST(Split, ImplicitAliases) {
  Definition d = must_split(
      "SELECT k key2, count(*) \"how many\", sum(v) + 1 more, CASE WHEN k > 1 THEN 2 END c, k IS NULL AS nil, k "
      "COLLATE NOCASE, max(v) AS 'text' FROM t AS x GROUP BY x.k");
  std::string names;
  for (const Column& c : d.output()) names += c.name + ";";
  EXPECT_EQ(names, "key2;how many;more;c;nil;k COLLATE NOCASE;text;");
}

TEST(Split, OperatorsThatLookLikeClauses) {
  Records r;
  r.add(R"({"k":1,"a":null,"b":2,"s":"xyz"})").add(R"({"k":1,"a":2,"b":2,"s":"abc"})");
  EXPECT_EQ(rows_of("SELECT k, count(*) FILTER (WHERE a IS DISTINCT FROM b) AS d, count(*) FILTER (WHERE s LIKE 'X%') "
                    "AS l, count(*) FILTER (WHERE like('a%', s)) AS f, sum(CAST(b AS TEXT) = '2') AS c FROM t WHERE a "
                    "IS NOT DISTINCT FROM a GROUP BY k",
                    r),
            std::vector<std::string>{"1|1|1|1|2"});
}

TEST(Split, TypesComeFromTheStreamsFields) {
  auto type = [](const std::string& expression) {
    SplitOptions options{{{"i", FieldType::integer}, {"n", FieldType::number}, {"t", FieldType::text}}};
    return must_split("SELECT " + expression + " AS x, k FROM s GROUP BY k", options).columns[0].type;
  };
  EXPECT_EQ(type("sum(i)"), "integer");
  EXPECT_EQ(type("sum(i * 2)"), "integer");
  EXPECT_EQ(type("sum(n)"), "real");
  EXPECT_EQ(type("sum(unknown)"), "real");
  EXPECT_EQ(type("max(t)"), "text");
  EXPECT_EQ(type("max(unknown)"), "any");
  EXPECT_EQ(type("min(timestamp(t))"), "text");
  EXPECT_EQ(type("collect(t)"), "json");
  EXPECT_EQ(type("json_object('a', sum(i))"), "json");
  EXPECT_EQ(type("sum(i) > 3"), "integer");
  EXPECT_EQ(type("stddev(i)"), "real");
  EXPECT_EQ(type("median(i)"), "real");
  EXPECT_EQ(type("approx_count_distinct(t)"), "integer");
  EXPECT_EQ(type("map(t, i)"), "json");
  EXPECT_EQ(type("arg_max(t, i)"), "text");
  EXPECT_EQ(type("arg_min(i, t)"), "integer");
  EXPECT_EQ(type("sum(i) || 'x'"), "text");
  EXPECT_EQ(type("round(avg(i), 1)"), "real");
  EXPECT_EQ(type("'x'"), "text");
}

TEST(Split, ARecordsShardIsItsForEver) {
  EXPECT_TRUE(must_split("SELECT _shard, count(*) FROM t GROUP BY _shard").deterministic);
  EXPECT_TRUE(must_split("SELECT _key, max(_time), max(_sequence) FROM t GROUP BY _key").deterministic);
}

TEST(Split, WarnsOfCountingWithText) {
  SplitOptions options{{{"Quantity", FieldType::integer}, {"Price", FieldType::text}}};
  EXPECT_EQ(must_split("SELECT k, sum(Quantity * Price) AS s FROM t GROUP BY k", options).warnings,
            std::vector<std::string>{
                "The stream does not declare Price as a number, and SQL counts with text as if it were 0: write "
                "number(Price), which sets such a record aside instead."});
  EXPECT_TRUE(must_split("SELECT k, sum(Quantity * number(Price)) AS s FROM t GROUP BY k", options).warnings.empty());
}

struct Refused {
  const char* sql;
  const char* sentence;  // contained in the answer
};
const Refused kRefused[] = {
    // What a view cannot keep up.
    Refused{"SELECT a, b, count(*) FROM t GROUP BY a",
            "line 1, column 11: b is neither in GROUP BY nor inside an aggregate"},
    Refused{"SELECT a, sum(x) + b AS y FROM t GROUP BY a", "write last(b)"},
    Refused{"SELECT a FROM t", "GROUP BY is missing"},
    Refused{"SELECT a, count(*) FROM t GROUP BY a HAVING count(*) > 1", "line 1, column 38: HAVING hides rows"},
    Refused{"SELECT a, count(*) FROM t GROUP BY a ORDER BY a", "leave ORDER BY out"},
    Refused{"SELECT a, count(*) FROM t GROUP BY a LIMIT 5", "leave LIMIT out"},
    Refused{"SELECT DISTINCT a FROM t", "GROUP BY with the same columns instead of DISTINCT"},
    Refused{"SELECT a FROM t GROUP BY a UNION SELECT b FROM u GROUP BY b", "two views"},
    Refused{"SELECT a, row_number() OVER (ORDER BY a) FROM t GROUP BY a", "Window functions"},
    Refused{"SELECT a, sum(x) OVER (PARTITION BY a) FROM t GROUP BY a", "Window functions"},
    Refused{"SELECT a, count(*) FROM t GROUP BY a WINDOW w AS (ORDER BY a)", "Window functions"},
    Refused{"SELECT a, (SELECT max(b) FROM u) FROM t GROUP BY a", "line 1, column 12: Sub-selects"},
    Refused{"SELECT a, count(*) FROM (SELECT * FROM t) GROUP BY a", "Sub-selects"},
    Refused{"SELECT a, count(*) FROM t WHERE EXISTS (SELECT 1) GROUP BY a", "Sub-selects"},
    Refused{"WITH x AS (SELECT 1) SELECT a FROM t GROUP BY a", "WITH cannot be kept up"},
    Refused{"SELECT a, count(*) FROM t RIGHT JOIN u ON t.a = u.a GROUP BY a", "RIGHT and FULL joins"},
    Refused{"SELECT a, count(*) FROM t FULL JOIN u ON t.a = u.a GROUP BY a", "RIGHT and FULL joins"},
    Refused{"SELECT a, count(*) FROM t LEFT JOIN u ON t.a = u.a GROUP BY a", "line 1, column 37: There is no view u"},
    Refused{"SELECT a, count(*) FROM t, u GROUP BY a", "There is no view u"},
    // Aggregates in wrong places.
    Refused{"SELECT a, count(*) FROM t WHERE sum(x) > 1 GROUP BY a", "FILTER (WHERE y > 0)"},
    Refused{"SELECT a, count(*) AS n FROM t WHERE n > 1 GROUP BY a", "line 1, column 38"},
    Refused{"SELECT a, count(*) AS n FROM t GROUP BY n", "cannot be part of the key"},
    Refused{"SELECT count(*) FROM t GROUP BY 1", "cannot be part of the key"},
    Refused{"SELECT a, sum(max(b)) FROM t GROUP BY a", "An aggregate inside an aggregate"},
    Refused{"SELECT a, sum(x) FILTER (WHERE count(*) > 1) FROM t GROUP BY a", "An aggregate inside an aggregate"},
    Refused{"SELECT a, collect(x ORDER BY y) FROM t GROUP BY a", "always that of the stream"},
    Refused{"SELECT a, sum(DISTINCT x) FROM t GROUP BY a", "only count(DISTINCT x)"},
    Refused{"SELECT a, sum(*) FROM t GROUP BY a", "Only count(*) takes a star"},
    Refused{"SELECT a, sum(x, y) FROM t GROUP BY a", "sum takes one argument"},
    Refused{"SELECT a, sum() FROM t GROUP BY a", "sum takes one argument"},
    Refused{"SELECT a, sum(x) FILTER (x > 1) FROM t GROUP BY a", "FILTER (WHERE condition)"},
    Refused{"SELECT a, group_concat(x) FROM t GROUP BY a", "write collect(x)"},
    Refused{"SELECT a, total(x) FROM t GROUP BY a", "write sum(x)"},
    Refused{"SELECT a, mode(x) FROM t GROUP BY a", "mode is not supported yet"},
    Refused{"SELECT a, max_by(x, y) FROM t GROUP BY a", "write arg_max(x, by)"},
    Refused{"SELECT a, arg_min(x) FROM t GROUP BY a", "arg_min takes two arguments: arg_min(x, by)"},
    Refused{"SELECT a, arg_min(x, y, z) FROM t GROUP BY a", "takes two arguments"},
    Refused{"SELECT a, arg_min(x, ) FROM t GROUP BY a", "takes two arguments"},
    Refused{"SELECT a, stddev(x, y) FROM t GROUP BY a", "stddev takes one argument"},
    Refused{"SELECT a, quantile(x) FROM t GROUP BY a", "takes two arguments: quantile(x, 0.95)"},
    Refused{"SELECT a, quantile(x, 95) FROM t GROUP BY a", "line 1, column 23: Which quantile is a number from 0 to 1"},
    Refused{"SELECT a, quantile(x, q) FROM t GROUP BY a", "quantile(x, 0.95)"},
    Refused{"SELECT a, quantile(x, 0x1) FROM t GROUP BY a", "quantile(x, 0.95)"},
    Refused{"SELECT a, quantile(x, ) FROM t GROUP BY a", "quantile(x, 0.95)"},
    Refused{"SELECT a, median(x, 0.5) FROM t GROUP BY a", "median takes one argument"},
    Refused{"SELECT a, map(k) FROM t GROUP BY a", "map takes two arguments: map(key, value)"},
    Refused{"SELECT a, collect(x, 0) FROM t GROUP BY a",
            "line 1, column 22: How many values are kept is a whole number"},
    Refused{"SELECT a, collect(x, 10001) FROM t GROUP BY a", "from 1 to 10000"},
    Refused{"SELECT a, collect(x, n) FROM t GROUP BY a", "written out: collect(x, 100)"},
    Refused{"SELECT a, collect(x, 2, 3) FROM t GROUP BY a", "collect takes one argument, or two"},
    Refused{"SELECT a, map(x) FROM t GROUP BY a", "map takes two arguments"},
    Refused{"SELECT a, percentile(x, 95) FROM t GROUP BY a", "write quantile(x, 0.95)"},
    Refused{"SELECT a, json_group_object(k, v) FROM t GROUP BY a", "write map(key, value)"},
    Refused{"SELECT a, stddev(DISTINCT x) FROM t GROUP BY a", "only count(DISTINCT x)"},
    Refused{"SELECT a, count(DISTINCT x COLLATE NOCASE) FROM t GROUP BY a", "write lower(x)"},
    Refused{"SELECT a, count(*) FROM t GROUP BY a COLLATE NOCASE", "write lower(x)"},
    // What is not the same in a rebuild.
    Refused{"SELECT a, count(*) FROM t WHERE random() > 0 GROUP BY a", "something else each time"},
    Refused{"SELECT a, max(datetime('now')) FROM t GROUP BY a", "line 1, column 24: Only a known time"},
    Refused{"SELECT a, max(datetime()) FROM t GROUP BY a", "without a time reads the clock"},
    Refused{"SELECT a, max(date(d)) FROM t GROUP BY a", "write date(timestamp(x))"},
    Refused{"SELECT a, max(strftime('%Y', d)) FROM t GROUP BY a", "write strftime('...', timestamp(x))"},
    Refused{"SELECT a, max(datetime(timestamp(d), 'localtime')) FROM t GROUP BY a", "depend on the machine"},
    Refused{"SELECT a, max(CURRENT_TIMESTAMP) FROM t GROUP BY a", "may not read the clock"},
    Refused{"SELECT a, hex(randomblob(4)) FROM t GROUP BY a", "something else each time"},
    Refused{"SELECT a, last_insert_rowid() FROM t GROUP BY a", "something else each time"},
    Refused{"SELECT a, load_extension('x') FROM t GROUP BY a", "There is no function load_extension"},
    Refused{"SELECT a, sqlite_version() FROM t GROUP BY a", "There is no function"},
    Refused{"SELECT a, _json_member(a) FROM t GROUP BY a", "There is no function"},
    Refused{"SELECT a, uper(a) FROM t GROUP BY a", "Did you mean upper?"},
    Refused{"SELECT a, colect(b) FROM t GROUP BY a", "Did you mean collect?"},
    // Slips.
    Refused{"", "The definition is empty"}, Refused{"hello", "A view is written CREATE MATERIALIZED VIEW"},
    Refused{"DROP TABLE t", "A view is written"}, Refused{"SELECT a, count(*) GROUP BY a", "not understood here"},
    Refused{"SELECT a, count(*)", "FROM is missing"},
    Refused{"SELECT a, count(*) FROM", "The stream's name is missing"},
    Refused{"SELECT FROM t GROUP BY a", "output columns are missing"},
    Refused{"SELECT a,, b FROM t GROUP BY a", "between two commas"},
    Refused{"SELECT * FROM t GROUP BY a", "Name the columns instead of *"},
    Refused{"SELECT t.* FROM t GROUP BY a", "Name the columns instead of *"},
    Refused{"SELECT a, count(*) AS A FROM t GROUP BY a", "Two columns are called A"},
    Refused{"SELECT a, count(*) FROM t GROUP BY 3", "there are 2"},
    Refused{"SELECT a, count(*) FROM t GROUP BY a, a", "this term twice"},
    Refused{"SELECT a, count(*) FROM t GROUP a", "GROUP is followed by BY"},
    Refused{"SELECT a, count(*) FROM t GROUP BY", "missing after GROUP BY"},
    Refused{"SELECT a, count(*) FROM t WHERE GROUP BY a", "missing after WHERE"},
    Refused{"SELECT a, count(*) FROM t GROUP BY a; DROP TABLE t", "One statement at a time"},
    Refused{"SELECT a, count(* FROM t GROUP BY a", "parenthesis is not closed"},
    Refused{"SELECT a), count(*) FROM t GROUP BY a", "closes nothing"},
    Refused{"SELECT a, 'x FROM t GROUP BY a", "This quote is not closed"},
    Refused{"SELECT a /* x FROM t", "comment is not closed"},
    Refused{"SELECT a, count(*) FROM t WHERE a = ?1 GROUP BY a", "no parameters"},
    Refused{"SELECT a, count(*) FROM t WHERE a = :x GROUP BY a", "no parameters"},
    Refused{"SELECT a, count(*) FROM t WHERE a # 1 GROUP BY a", "no such character"},
    Refused{"SELECT a, count(*)\nFROM t\nWHERE a >< 1\nGROUP BY a", "line 3, column 10"},
    Refused{"SELECT a, count(*) FROM t WHERE a = 12abc GROUP BY a", "followed by letters"},
    Refused{"SELECT a.b, count(*) FROM t GROUP BY a.b", "\"a.b\""},
    Refused{"SELECT a, count(*) FROM my.stream GROUP BY a", "in double quotes"},
    Refused{"SELECT a, x'00' FROM t GROUP BY a", "no BLOBs"},
    Refused{"SELECT a, round(1,2,3) FROM t GROUP BY a", "line 1, column 11: SQL: wrong number of arguments"},
    Refused{"SELECT a, ident(a, 1) FROM t GROUP BY a", "ident"},
    Refused{"SELECT a REGEXP 'x', count(*) FROM t GROUP BY a", "write LIKE or GLOB"},
    Refused{"CREATE VIEW v AS SELECT a FROM t GROUP BY a", "Write CREATE MATERIALIZED VIEW"},
    Refused{"CREATE MATERIALIZED VIEW 'v' AS SELECT a FROM t GROUP BY a", "A view is written"},
    Refused{"CREATE MATERIALIZED VIEW \"my view\" AS SELECT a FROM t GROUP BY a", "letters, digits and _"},
    Refused{"CREATE MATERIALIZED VIEW v (x) AS SELECT a FROM t GROUP BY a", "Name the columns in the SELECT"},
    Refused{"CREATE MATERIALIZED VIEW v SELECT a FROM t GROUP BY a", "A view is written"}};

TEST(Split, RefusesWithPlaceAndWhatToWriteInstead) {
  for (const Refused& row : kRefused) {
    EXPECT_NE(refusal(row.sql).find(row.sentence), std::string::npos) << row.sql << "\n-> " << refusal(row.sql);
  }
}

TEST(Split, NotSupportedYetHasItsOwnCode) {
  auto code = [](std::string_view sql) { return std::get<SqlError>(split(sql)).code; };
  EXPECT_EQ(code("SELECT a, mode(x) FROM t GROUP BY a"), "not_supported");
  EXPECT_EQ(code("SELECT a, count(*) FROM t JOIN u USING (a) GROUP BY a"), "invalid_view");
  EXPECT_EQ(code("SELECT a, count(*) FROM t JOIN u ON u.a = t.a GROUP BY a"), "no_such_view");
  EXPECT_EQ(code("SELECT a, b FROM t GROUP BY a"), "invalid_view");
}

// Whatever bytes come, split answers; it neither crashes nor lets through what SQLite then cannot prepare.
TEST(Split, MangledDefinitionsAreAnswered) {
  std::string base(*builtin_sql("invoices"));
  std::uint64_t state = 88172645463325252ull;
  auto random = [&](std::size_t n) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return static_cast<std::size_t>(state % n);
  };
  static constexpr std::string_view kBits[] = {"(",          ")",        "'",    "\"",    ",",         " FROM ",
                                               " GROUP BY ", "?",        ";",    "--",    "/*",        " AS ",
                                               "*",          " SELECT ", "\xC3", " sum(", " COLLATE ", " CAST("};
  int taken = 0;
  for (int i = 0; i < 2'000; ++i) {
    std::string sql = base;
    for (std::size_t k = 1 + random(3); k > 0; --k) {
      std::size_t at = random(sql.size());
      if (random(2) == 0) {
        sql.erase(at, 1 + random(12));
      } else {
        sql.insert(at, kBits[random(std::size(kBits))]);
      }
    }
    auto result = split(sql);
    if (auto* d = std::get_if<Definition>(&result)) {
      FieldSet fields;
      ASSERT_EQ(RowStage::prepare(*d, fields).index(), 0u) << sql;
      ASSERT_EQ(FinalStage::prepare(*d).index(), 0u) << sql;
      ++taken;
    } else {
      ASSERT_FALSE(std::get<SqlError>(result).message.empty());
    }
  }
  EXPECT_GT(taken, 100);
}

}  // namespace
}  // namespace tidemill::views
