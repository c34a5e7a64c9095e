// json_each in FROM: a record gives a row for each of its elements, and is in with all of them or with none.
#include "tests/consumers/views/plain_table.h"

namespace tidemill::views {
namespace {

Records orders(std::uint64_t seed, std::size_t n) {
  std::mt19937_64 random(seed);
  Records out;
  for (std::size_t i = 0; i < n; ++i) {
    std::string lines;
    for (std::size_t k = random() % 6; k > 0; --k) {
      lines += (lines.empty() ? "" : ",") + std::string("{\"sku\":\"s") + std::to_string(random() % 9) +
               "\",\"n\":" + std::to_string(random() % 5) + ",\"price\":" + std::to_string(random() % 900) + ".25}";
    }
    std::string field = random() % 11 == 0 ? "" : ",\"lines\":[" + lines + "]";
    out.add("{\"id\":" + std::to_string(i) + ",\"by\":\"c" + std::to_string(random() % 7) + "\"" + field + "}");
  }
  return out;
}

TEST(Elements, AreRowsAsInAPlainTable) {
  Records r = orders(1, 400);
  PlainTable plain(r);
  const std::string from = "FROM t, json_each(data, '$.lines') AS l ";
  std::vector<std::string> want = plain.rows(
      "SELECT l.value ->> '$.sku' AS sku, count(*), sum(l.value ->> '$.n'), count(DISTINCT data ->> 'by'), "
      "max(l.key), sum((l.value ->> '$.n') * (l.value ->> '$.price')) FILTER (WHERE l.key > 0) " +
      from + "GROUP BY sku ORDER BY sku");
  ASSERT_EQ(want.size(), 9u);
  for (const char* with :
       {", json_each(lines)", ", json_each(\"lines\") AS json_each", " CROSS JOIN json_each(data, '$.lines')",
        " JOIN json_each(json_extract(data, '$.lines'))", " INNER JOIN json_each(o.lines)"}) {
    EXPECT_EQ(
        rows_however_cut(std::string("SELECT value ->> '$.sku' AS sku, count(*) AS lines, sum(value ->> '$.n') AS n, "
                                     "count(DISTINCT \"by\") AS customers, max(key) AS k, sum((value ->> '$.n') * "
                                     "(json_each.value ->> '$.price')) FILTER (WHERE key > 0) AS s FROM orders o") +
                             with + " GROUP BY sku",
                         r),
        want)
        << with;
  }
  EXPECT_EQ(
      rows_however_cut("SELECT \"by\", count(*) AS n, count(value) AS lines, sum(value ->> '$.n') AS s FROM orders "
                       "LEFT OUTER JOIN json_each(lines) l WHERE l.key IS NULL OR l.key < 3 GROUP BY \"by\"",
                       r),
      plain.rows("SELECT data ->> 'by' AS b, count(*), count(l.value), sum(l.value ->> '$.n') FROM t LEFT JOIN "
                 "json_each(data, '$.lines') l WHERE l.key IS NULL OR l.key < 3 GROUP BY b ORDER BY b"));
}

TEST(Elements, ComeInOrderOfSequenceAndPlace) {
  Records r;
  r.add(R"({"k":1,"a":["x","y"]})").add(R"({"k":2})").add(R"({"k":1,"a":["z",{"in":[1]},null,2.5,true]})");
  EXPECT_EQ(
      rows_however_cut("SELECT k, collect(value) AS all_, first(value) AS f, last(value) AS l, collect(type) AS t, "
                       "arg_max(value, 1) AS m, map(_sequence, key) AS last_key, count(*) AS n, collect(value, 3) AS "
                       "newest FROM t, json_each(a) "
                       "GROUP BY k",
                       r),
      std::vector<std::string>{R"(1|["x","y","z",{"in":[1]},2.5,1]|x|1|["text","text","text","object","null","real",)"
                               R"("true"]|x|{"1":1,"3":4}|7|[{"in":[1]},2.5,1])"});
}

TEST(Elements, OfAnObjectHaveItsNames) {
  Records r;
  r.add(R"({"host":"a","load":{"cpu":0.5,"disk":3}})").add(R"({"host":"b","load":{"cpu":1.5}})").add(R"({"load":7})");
  EXPECT_EQ(rows_however_cut("SELECT key AS metric, max(value) AS most, arg_max(host, value) AS host FROM t, "
                             "json_each(load) GROUP BY key",
                             r),
            (std::vector<std::string>{"NULL|7|NULL", "cpu|1.5|b", "disk|3|a"}));
}

TEST(Elements, ARecordIsInWholeOrNotAtAll) {
  Records r;
  r.add(R"({"a":[1,2]})")
      .add(R"({"a":[3,"four",5]})")
      .add(R"({"a":"not JSON"})")
      .add(R"({"a":[6]})")
      .add(R"({"a":[7,{"n":"eggs"},8]})")
      .add(R"({"a":[9]})");
  MemoryView view(
      "SELECT sum(value) AS s, count(*) AS n, sum(number(CASE type WHEN 'object' THEN value ->> '$.n' END)) AS o "
      "FROM t, json_each(a)");
  view.apply(r.all());
  EXPECT_EQ(texts(view.rows()), std::vector<std::string>{"18|4|NULL"});
  EXPECT_EQ(view.parked, (std::vector<std::string>{
                             "2: sum(value): text where a number is wanted; number(x) reads numbers that came as text",
                             "3: malformed JSON", "5: number() was given text that is not a number"}));
  EXPECT_EQ(rows_however_cut(view.definition.text, r), texts(view.rows()));
}

TEST(Elements, ABlobSetsTheWholeRecordAside) {
  Records r;
  r.add(R"({"a":[1,2]})").add(R"({"a":[3]})");
  MemoryView view("SELECT CAST(value AS BLOB) AS b, count(*) AS n FROM t, json_each(a) WHERE value <> 2 GROUP BY b");
  view.apply(r.all());
  EXPECT_EQ(view.size(), 0u);
  EXPECT_EQ(view.parked.size(), 2u);
}

TEST(Elements, ARowCountsItsRecords) {
  Records r = orders(3, 60);
  MemoryView lines("SELECT count(*) AS n FROM t, json_each(lines)");
  lines.apply(r.cut(0, 20));
  lines.apply(r.cut(20, 40));
  auto with_lines = PlainTable(r).rows("SELECT count(*) FROM t WHERE json_array_length(data, '$.lines') > 0");
  EXPECT_EQ(std::to_string(lines.header({}).count), with_lines.at(0));
  EXPECT_LT(lines.header({}).count, static_cast<std::uint64_t>(std::get<std::int64_t>(lines.row({}).at(0))));
}

TEST(Elements, NamesOfTheRecordAndOfTheElement) {
  Records r;
  r.add(R"({"value":"field","Value":"other","type":"order","items":["in"]})");
  EXPECT_EQ(
      rows_however_cut("SELECT last(value) AS a, last(t.value) AS b, last(Value) AS c, last(i.type) AS d, last(t.type) "
                       "AS e FROM t, json_each(items) AS i",
                       r),
      std::vector<std::string>{"in|field|other|text|order"});
  EXPECT_EQ(rows_however_cut("SELECT last(value) AS a FROM t, json_each(value)", Records().add(R"({"value":[4]})")),
            std::vector<std::string>{"4"});
  EXPECT_EQ(must_split("SELECT type, count(*) FROM t, json_each(items) GROUP BY type", {{{"type", FieldType::text}}})
                .warnings,
            std::vector<std::string>{"type means json_each's, not the field of that name, which is t.type."});
}

TEST(Elements, WhatIsRefused) {
  const struct {
    const char* sql;
    const char* sentence;
  } kTable[] = {
      {"SELECT k, count(*) FROM t, json_tree(a) GROUP BY k", "line 1, column 28: Only json_each(...)"},
      {"SELECT k, count(*) FROM t, json_each(a), json_each(b) GROUP BY k", "A second json_each is not supported yet"},
      {"SELECT k, count(*) FROM t, json_each(a), u GROUP BY k", "There is no view u"},
      {"SELECT k, count(*) FROM t, json_each() GROUP BY k", "Say whose elements"},
      {"SELECT k, count(*) FROM t, json_each(a, '$', 3) GROUP BY k", "too many arguments on json_each"},
      {"SELECT k, count(*) FROM t, json_each(sum(a)) GROUP BY k", "not an aggregate"},
      {"SELECT k, count(*) FROM t JOIN json_each(a) ON key > 1 GROUP BY k", "in WHERE"},
      {"SELECT k, value FROM t, json_each(a) GROUP BY k", "value is neither in GROUP BY nor inside an aggregate"},
      {"SELECT k, max(l.atom) FROM t, json_each(a) l GROUP BY k", "json_each gives key, value and type, not atom"},
      {"SELECT k, count(*) FROM t x, json_each(a) x GROUP BY k", "both called x"},
      {"SELECT a, count(*) FROM json_each(x) GROUP BY a", "FROM stream, json_each(field)"},
      {"SELECT k, count(*) FROM t RIGHT JOIN json_each(a) GROUP BY k", "RIGHT and FULL joins"},
      {"SELECT max(json_each.value) FROM t", "There is no table json_each here"}};
  for (const auto& row : kTable)
    EXPECT_NE(refusal(row.sql).find(row.sentence), std::string::npos) << row.sql << "\n-> " << refusal(row.sql);
}

}  // namespace
}  // namespace tidemill::views
