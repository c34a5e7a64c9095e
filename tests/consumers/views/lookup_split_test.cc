// Definitions that look up other views: how they are split, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "consumers/views/explain.h"
#include "consumers/views/lookup.h"
#include "consumers/views/view.h"
#include "tests/consumers/views/memory_view.h"

namespace tidemill::views {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// customers: by id. prices: by country and sku. totals: one row. hidden: does not show its key.
SplitOptions known() {
  static const std::map<std::string, std::string, std::less<>> kViews = {
      {"customers",
       "SELECT id, last(name) AS name, last(country) AS country, collect(tag) AS tags, count(*) AS \"n \"\"x\" "
       "FROM c GROUP BY id"},
      {"prices", "SELECT country, sku, last(price) AS price FROM p GROUP BY country, sku"},
      {"by_shard", "SELECT _key AS k, count(*) AS n FROM p GROUP BY _key"},
      {"totals", "SELECT count(*) AS n FROM p"},
      {"hidden", "SELECT count(*) AS n FROM p GROUP BY country"},
      {"batch", "SELECT id, count(*) AS n FROM p GROUP BY id"}};
  SplitOptions options;
  options.view = [](std::string_view name) -> std::shared_ptr<const View> {
    const auto there = kViews.find(name);
    if (there == kViews.end()) return nullptr;
    return std::make_shared<const View>(1, in_default(there->first), there->second, must_split(there->second), nullptr);
  };
  return options;
}

Definition understood(std::string_view sql) {
  return must_split(sql, known());
}
std::string refusal(std::string_view sql, std::string* code = nullptr) {
  auto made = split(sql, known());
  auto* error = std::get_if<SqlError>(&made);
  if (error == nullptr) return "taken: " + std::get<Definition>(made).row_sql;
  if (code != nullptr) *code = error->code;
  return error->message;
}
// How its lookups are read.
std::vector<std::string> reads(std::string_view sql) {
  std::vector<std::string> out;
  for (const Lookup& l : understood(sql).lookups) out.push_back((l.whole ? "whole: " : "some: ") + l.text);
  return out;
}

TEST(LookupSplit, ByTheWholeKey) {
  const Definition d = understood(
      "SELECT c.Country AS country, sum(price) AS s FROM orders o LEFT JOIN customers AS c ON c.ID = o.customer "
      "WHERE o.price > 0 GROUP BY 1");
  EXPECT_EQ(d.row_sql,
            "SELECT look1.\"country\" , (f0 ) FROM batch LEFT JOIN look1 ON look1.\"id\" = f1  WHERE f0 > 0 ");
  EXPECT_THAT(d.fields, ElementsAre("price", "customer"));
  ASSERT_EQ(d.lookups.size(), 1u);
  EXPECT_EQ(d.lookups[0].view, "customers");
  EXPECT_EQ(d.lookups[0].alias, "c");
  EXPECT_TRUE(d.lookups[0].optional);
  EXPECT_TRUE(d.lookups[0].whole);
  EXPECT_EQ(d.lookups[0].text, "one row of customers by its whole key (id)");
  EXPECT_FALSE(d.deterministic);
  EXPECT_FALSE(d.several_rows);
  const Explanation e = explain(d);
  EXPECT_EQ(e.row_statement,
            "SELECT \"c\".\"country\", (\"price\") FROM batch LEFT JOIN \"c\" ON \"c\".\"id\" = \"customer\" WHERE "
            "\"price\" > 0");
  ASSERT_EQ(e.lookups.size(), 1u);
  EXPECT_EQ(e.lookups[0].text, d.lookups[0].text);
}

TEST(LookupSplit, EachWayOfWritingIt) {
  for (const char* from :
       {"orders CROSS JOIN customers c ON c.id = customer", "orders JOIN customers c ON c.id = customer",
        "orders INNER JOIN customers c ON (customer = c.id)", "orders, customers c WHERE c.id = customer",
        "orders CROSS JOIN customers c WHERE price > 0 AND c.id = customer",
        "orders LEFT OUTER JOIN customers c ON c.id = customer AND c.country = 'NL'",
        "orders LEFT JOIN customers c ON c.id = ident(customer)",
        "orders, json_each(lines) JOIN customers c ON c.id = value ->> '$.customer'"}) {
    EXPECT_THAT(reads("SELECT c.name AS name, count(*) AS n FROM " + std::string(from) + " GROUP BY 1"),
                ElementsAre("whole: one row of customers by its whole key (id)"))
        << from;
  }
  EXPECT_THAT(reads("SELECT customers.name, count(*) AS n FROM orders JOIN customers ON customers.id = customer "
                    "GROUP BY 1"),
              ElementsAre("whole: one row of customers by its whole key (id)"));
}

TEST(LookupSplit, ByThePrefixOfTheKey) {
  const std::string sql =
      "SELECT p.sku AS sku, count(*) AS n FROM orders o JOIN prices p ON p.country = o.country GROUP BY 1";
  EXPECT_THAT(reads(sql), ElementsAre("some: the rows of prices whose key begins with country"));
  EXPECT_TRUE(understood(sql).several_rows);
  // The rest of the key may be bound as it likes.
  EXPECT_THAT(reads("SELECT p.sku AS sku, count(*) AS n FROM orders o JOIN prices p ON p.country = o.country AND p.sku "
                    "> o.sku GROUP BY 1"),
              ElementsAre("some: a range of prices: sku > (country given)"));
}

TEST(LookupSplit, OneByAnother) {
  EXPECT_THAT(reads("SELECT c.name AS name, sum(p.price) AS s FROM orders o JOIN customers c ON c.id = o.customer LEFT "
                    "JOIN prices p ON p.country = c.country AND p.sku = o.sku CROSS JOIN totals t WHERE t.n > 1 GROUP "
                    "BY 1"),
              ElementsAre("whole: one row of customers by its whole key (id)",
                          "whole: one row of prices by its whole key (country, sku)", "whole: the whole view totals"));
}

TEST(LookupSplit, NamesOfViewsAndColumnsMayBeAnything) {
  EXPECT_THAT(reads("SELECT b.n AS n, count(*) AS c FROM orders JOIN batch b ON b.id = id GROUP BY 1"),
              ElementsAre("whole: one row of batch by its whole key (id)"));
  const Definition d =
      understood("SELECT k, sum(c.\"n \"\"x\") AS s FROM orders JOIN customers c ON c.id = k GROUP BY k");
  EXPECT_THAT(d.row_sql, HasSubstr("look1.\"n \"\"x\""));
}

TEST(LookupSplit, TypesAreThoseOfTheView) {
  const Definition d = understood(
      "SELECT c.id AS id, c.tags AS tags, s.n AS n, count(*) AS c FROM orders o JOIN customers c ON c.id = o.customer "
      "JOIN by_shard s ON s.k = o._key GROUP BY 1, 2, 3");
  EXPECT_EQ(d.columns[0].type, "any");
  EXPECT_EQ(d.columns[1].type, "text");  // a collected list is text to SQL
  EXPECT_EQ(d.columns[2].type, "integer");
}

// A bare name is the record's, whatever the views have.
TEST(LookupSplit, BareNamesAreFields) {
  const Definition d = understood("SELECT name, count(*) AS n FROM orders JOIN customers c ON c.id = id GROUP BY name");
  EXPECT_THAT(d.fields, ElementsAre("name", "id"));
}

TEST(LookupSplit, WithoutLookupsAllIsAsItWas) {
  const Definition d = understood("SELECT k, count(*) AS n FROM t GROUP BY k");
  EXPECT_THAT(d.lookups, IsEmpty());
  EXPECT_TRUE(d.deterministic);
  EXPECT_THAT(looked_up(d.text), IsEmpty());
}

TEST(LookupSplit, WhatATextLooksUpIsSeenWithoutTheViews) {
  EXPECT_THAT(
      looked_up("CREATE MATERIALIZED VIEW v AS SELECT a, count(*) FROM t JOIN x ON x.k = a, y LEFT JOIN \"z\" q "
                "ON q.k = x.b GROUP BY a"),
      ElementsAre("x", "y", "z"));
  EXPECT_THAT(looked_up("hello"), IsEmpty());
}

struct Refused {
  const char* from;
  const char* sentence;
  const char* column = "c.id";
};

TEST(LookupSplit, Refusals) {
  const Refused cases[] = {
      {"orders o JOIN customers c ON c.id > o.customer", "A lookup needs the row's key: compare id of customers by ="},
      {"orders o LEFT JOIN customers c ON c.id > o.customer", "A lookup needs the row's key"},
      {"orders o JOIN customers c ON c.id IN (o.a, o.b)", "A lookup needs the row's key"},
      {"orders o JOIN customers c ON c.id = o.a OR c.id = o.b", "A lookup needs the row's key"},
      {"orders o LEFT JOIN customers c ON c.id = o.a OR c.id = o.b", "A lookup needs the row's key"},
      {"orders o JOIN customers c ON c.name = o.name", "compare id of customers by ="},
      {"orders o JOIN customers c ON lower(c.id) = o.customer", "compare id of customers by ="},
      {"orders o JOIN customers c ON c.id = o.customer COLLATE NOCASE", "compare id of customers by ="},
      {"orders o JOIN customers c", "compare id of customers by ="},
      {"orders o, customers c", "compare id of customers by ="},
      {"orders o JOIN customers c ON c.id = CAST(o.customer AS INTEGER)", "write number(x)"},
      {"orders o JOIN prices c ON c.sku = o.sku AND c.price > 0 WHERE c.sku > ''",
       "the key is country, sku, of which the first columns are enough", "c.sku"},
      {"orders o JOIN hidden c ON c.n = o.n", "does not show the first term of its key", "c.n"},
      {"orders o RIGHT JOIN customers c ON c.id = o.customer", "write LEFT JOIN view ON view.column = field"},
      {"orders o FULL JOIN customers c ON c.id = o.customer", "RIGHT and FULL joins"},
      {"orders o NATURAL JOIN customers c", "NATURAL compares columns of the same name"},
      {"orders o JOIN customers c USING (id)", "Write ON c.column = field instead of USING"},
      {"orders o LEFT JOIN customers c", "LEFT JOIN needs to know which row of customers"},
      {"orders o JOIN customers c ON", "A condition is missing after ON"},
      {"orders o JOIN", "The name of the view that the records are looked up in is missing"},
      {"orders o,", "The name of the view that the records are looked up in is missing"},
      {"orders o LEFT customers c ON c.id = o.customer", "A lookup is written CROSS JOIN view ON"},
      {"orders o ON o.a = 1", "A lookup is written CROSS JOIN view ON"},
      {"orders o JOIN customer c ON c.id = o.customer", "There is no view customer, and only views are looked up"},
      {"orders o JOIN v c ON c.id = o.customer", "A view cannot look up itself"},
      {"orders o JOIN customers o ON o.id = o.customer", "Stream and this view are both called o"},
      {"orders c JOIN customers c ON c.id = c.customer", "give one an alias"},
      {"orders o JOIN customers c ON c.id = o.x JOIN prices c ON c.country = o.y", "Another view and this view"},
      {"orders o, json_each(l) c JOIN customers c ON c.id = o.x", "Elements and this view are both called c"},
      {"orders o JOIN customers c ON c.id = o.x, json_each(l)", "json_each stands right behind the stream"},
      {"orders o JOIN customers c ON max(o.x) = c.id", "An aggregate cannot decide which row is looked up"},
      {"orders o JOIN customers c ON c.nam = o.x", "c has no column nam. It has: id, name, country, tags"},
      {"orders o JOIN customers c ON c.id = p.sku JOIN prices p ON p.country = o.x", "There is no table p here"},
      {"orders o JOIN (SELECT 1) c ON 1", "Sub-selects"},
      {"orders o JOIN customers() c ON 1", "Only json_each(...) may stand behind the stream"},
      {"orders o JOIN customers c ON c.id = random()", "something else each time"},
  };
  for (const Refused& r : cases) {
    const std::string sql = "CREATE MATERIALIZED VIEW v AS SELECT o.k, count(*), max(" + std::string(r.column) +
                            ") FROM " + r.from + " GROUP BY 1";
    EXPECT_THAT(refusal(sql), HasSubstr(r.sentence)) << sql;
  }
  std::string code;
  EXPECT_THAT(refusal("SELECT k, count(*) FROM orders o\nJOIN nobody n ON n.id = o.k GROUP BY k", &code),
              HasSubstr("line 2, column 6"));
  EXPECT_EQ(code, "no_such_view");
  EXPECT_THAT(refusal("SELECT k, count(*) FROM orders o\nLEFT JOIN customers c ON c.id = o.k GROUP BY k", &code),
              HasSubstr("line 2, column 11: Nothing is made of customers"));
  EXPECT_THAT(refusal("SELECT c.name, count(*) FROM orders o JOIN customers c ON c.id = o.k GROUP BY k"),
              HasSubstr("write last(c.name)"));
}

}  // namespace
}  // namespace tidemill::views
