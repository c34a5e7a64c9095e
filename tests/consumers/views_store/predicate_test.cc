// Conditions over the rows of a view, for who watches only those that fit.
#include "consumers/views/predicate.h"

#include <gmock/gmock.h>

#include <cerrno>
#include <map>
#include <random>

#include "storage/base/errors.h"
#include "tests/consumers/views_store/bases_world.h"

namespace tidemill::views {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kDefinition =
    "CREATE MATERIALIZED VIEW w AS SELECT ident(k) AS k, count(*) AS n, sum(n) AS Total, last(a) AS a, "
    "timestamp(max(t)) AS at, collect(json_object('n', n)) AS list, last(b) AS \"odd name\" FROM s GROUP BY ident(k)";

struct PredicateWorld : BasesWorld {
  explicit PredicateWorld(std::uint64_t seed = 1) : BasesWorld(seed) {
    const auto made = views->run(kDefinition);
    EXPECT_TRUE(made && std::holds_alternative<StatementResult>(*made));
  }
  void add(const std::string& data) {
    put(stream(), "p", data);
    (void)rows("w");
  }
  // What SQL shows, by key.
  std::map<std::string, std::string> filtered(const std::string& where) {
    std::map<std::string, std::string> out;
    auto asked = views->query("SELECT * FROM w WHERE " + where, {}, {});
    EXPECT_TRUE(std::holds_alternative<std::unique_ptr<QueryCursor>>(asked))
        << where << ": " << std::get<SqlError>(asked).message;
    auto& cursor = *std::get<0>(asked);
    while (true) {
      const auto next = cursor.next(100);
      EXPECT_TRUE(std::holds_alternative<std::span<const Row>>(next)) << where;
      const auto rows = std::get<0>(next);
      if (rows.empty()) return out;
      for (const Row& r : rows) out[ViewsWorld::text({r[0]})] = ViewsWorld::text(r);
    }
  }
  std::unique_ptr<RowFilter> filter(const std::string& where) {
    auto made = views->watch("w")->filter(where);
    if (const auto* error = std::get_if<SqlError>(&made)) {
      ADD_FAILURE() << where << ": " << error->message;
      return nullptr;
    }
    return std::move(std::get<0>(made));
  }
  std::string refusal(const std::string& where) {
    const auto made = views->watch("w")->filter(where);
    const auto* error = std::get_if<SqlError>(&made);
    return error == nullptr ? "" : error->message;
  }
};

// A client: what it was sent, and where it is.
struct Copy {
  Copy(PredicateWorld& world, const std::string& where) : world(world), where(where) {}
  void connect() {
    watch = world.views->watch("w");
    filter = world.filter(where);
    const auto begin = *watch->begin(cursor);
    ASSERT_TRUE(begin.how == Watch::Begin::How::scan || begin.how == Watch::Begin::How::follow);
    if (!cursor) table.clear();
    std::string from;
    while (begin.how == Watch::Begin::How::scan) {
      auto piece = *watch->scan({}, from, begin.after, 3);
      take(piece.rows, !cursor);
      from = piece.next;
      if (from.empty()) break;
    }
    point = begin.point;
    cursor = begin.cursor;
    follow();
  }
  void follow() {
    const std::vector<Watch::Range> all{{}};
    while (true) {
      auto round = *watch->round(point, all, 5);
      if (round.what != Watch::Round::What::touched) return;
      take(round.rows, false);
      if (!round.keys.empty()) {
        auto rows = *watch->read(round.keys);
        take(rows, false);
      }
      point = round.to;
      cursor = round.cursor;
    }
  }
  void leave() { watch.reset(); }
  void take(std::vector<Watch::Touched>& rows, bool first) {
    ASSERT_TRUE(sift(*filter, rows, first));
    for (const auto& t : rows) {
      const std::string key = ViewsWorld::text(t.key);
      events.push_back((t.row ? "+" : "-") + key);
      if (t.row) {
        table[key] = ViewsWorld::text(*t.row);
      } else {
        table.erase(key);
      }
    }
  }
  std::vector<std::string> said() { return std::exchange(events, {}); }

  PredicateWorld& world;
  std::string where;
  std::shared_ptr<Watch> watch;
  std::unique_ptr<RowFilter> filter;
  std::optional<Watch::Cursor> cursor;
  Watch::Point point;
  std::map<std::string, std::string> table;
  std::vector<std::string> events;
};

TEST(Predicate, RowsEnterLeaveAndComeBack) {
  PredicateWorld w;
  w.add(R"({"k":"a","n":10})");
  w.add(R"({"k":"b","n":1})");
  Copy copy(w, "total >= 10");
  copy.connect();
  EXPECT_THAT(copy.said(), ElementsAre("+a"));  // nothing of what does not fit in the first copy
  w.add(R"({"k":"b","n":9})");
  copy.follow();
  EXPECT_THAT(copy.said(), ElementsAre("+b"));
  w.add(R"({"k":"a","n":-5})");
  copy.follow();
  EXPECT_THAT(copy.said(), ElementsAre("-a"));
  w.add(R"({"k":"c","n":3})");  // was never there: to remove it does nothing
  w.add(R"({"k":"a","n":6})");
  copy.follow();
  EXPECT_THAT(copy.said(), ElementsAre("+a", "-c"));
  EXPECT_EQ(copy.table, w.filtered("total >= 10"));
  copy.leave();
  w.add(R"({"k":"b","n":-1})");
  w.add(R"({"k":"c","n":8})");
  w.reopen();
  (void)w.rows("w");
  copy.connect();  // another process: what is later is found by reading the view
  EXPECT_THAT(copy.said(), ElementsAre("-b", "+c"));
  EXPECT_EQ(copy.table, w.filtered("total >= 10"));
}

// The same rows as SELECT ... WHERE: affinity, NULL, JSON, names in any case.
const std::vector<std::string> kConditions{"n > 2",
                                           "n > 2 AND TOTAL BETWEEN 3 AND 40",
                                           "k = 7",
                                           "k IN (3, '5', 'x1')",
                                           "k = a",
                                           "a = 1",
                                           "a = '1'",
                                           "a < 5",
                                           "a IS NULL",
                                           "NOT a",
                                           "a LIKE 'x%' OR a GLOB '[0-3]'",
                                           "w.k > '4' COLLATE NOCASE",
                                           "number(a) > 1",
                                           "coalesce(a, 'none') <> 'none'",
                                           "CASE WHEN n % 2 THEN a IS NOT NULL END",
                                           "json_extract(list, '$[0].n') > 3",
                                           "list ->> '$[#-1].n' = 4",
                                           "\"odd name\" IS NOT DISTINCT FROM a",
                                           "typeof(total) = 'integer' -- whole",
                                           "date(timestamp(at)) >= '2026-01-02'",
                                           "length(replace(k, 'x', 'yy')) = 2",
                                           "max(n, total) > 20",
                                           "(n, total) > (2, 5)",
                                           "total / 0 IS NULL AND n",
                                           "NULL",
                                           "1"};

TEST(Predicate, CopyAndChangesAreTheFilterOfTheView) {
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const auto below = [&](std::uint64_t n) { return random() % n; };
    PredicateWorld w(seed);
    std::vector<Copy> copies;
    for (const auto& where : kConditions) copies.emplace_back(w, where);
    const std::vector<std::string> values{"1", "\"1\"", "null", "4.5", "\"x2\"", "-3", "\"0\"", "true", "\"4\""};
    const std::vector<std::string> ks{"\"1\"", "2", "3", "\"3\"", "\"5\"", "7", "\"x1\"", "\"X1\"", "\"4\""};
    std::uint64_t compared = 0;
    std::uint64_t fitting = 0;
    for (int step = 0; step < 40; ++step) {
      for (std::uint64_t i = 0, many = 1 + below(3); i < many; ++i)
        w.add(R"({"k":)" + ks[below(ks.size())] + R"(,"n":)" + std::to_string(static_cast<int>(below(20)) - 8) +
              R"(,"a":)" + values[below(values.size())] + R"(,"b":)" + values[below(values.size())] +
              R"(,"t":"2026-01-0)" + std::to_string(1 + below(4)) + "\"}");
      if (below(20) == 0) {
        for (Copy& c : copies) c.leave();
        w.reopen();
        (void)w.rows("w");
      }
      for (Copy& c : copies) {
        if (!c.watch && below(2) != 0) continue;  // away for a while
        c.watch ? c.follow() : c.connect();
        // SQL asks for a definite answer; here what cannot be worked out is NULL.
        const bool numbers = c.where.starts_with("number");
        const auto expected = w.filtered(numbers ? "a NOT GLOB '*[^-0-9.]*' AND a + 0 > 1" : c.where + "\n");
        EXPECT_EQ(c.table, expected) << c.where;
        ++compared;
        fitting += c.table.size();
        if (below(8) == 0) c.leave();
      }
    }
    EXPECT_GT(compared, 400u);
    EXPECT_GT(fitting, 400u);
  }
}

TEST(Predicate, WhatIsRefusedAndWhere) {
  PredicateWorld w;
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "It is empty"},
      {"  -- nothing", "It is empty"},
      {"m > 1", "line 1, column 1: The view has no column m. It has: k, n, Total, a, at, list, odd name."},
      {"n >\n  other.m", "line 2, column 3: There is no table other"},
      {"k = \"UK\"", "line 1, column 5: The view has no column UK."},
      {"n > > 2", "column 5: SQL: near \">\": syntax error"},
      {"n 2", "syntax error"},
      {"n > 1 ORDER BY n", "no column ORDER"},
      {"n > 1)", "column 6: This parenthesis was not opened"},
      {"n > 1) OR (n < 3", "This parenthesis was not opened"},
      {"(n > 1", "A parenthesis is not closed"},
      {"n = 'x", "line 1, column 5"},
      {"n > 1; DROP TABLE x", "without a semicolon"},
      {"n > ?", "column 5: There are no parameters"},
      {"n > :least", "There are no parameters"},
      {"n > (SELECT 1)", "column 6: A sub-select"},
      {"n IN (VALUES (1))", "A sub-select"},
      {"EXISTS (SELECT 1)", "A sub-select"},
      {"sum(n) > 3", "column 1: An aggregate is of many rows"},
      {"count(*) > 3", "An aggregate is of many rows"},
      {"row_number() OVER () > 3", "A window function is of many rows"},
      {"random() > 0", "a row must fit or not until it changes"},
      {"at > CURRENT_TIMESTAMP", "The clock may not be read"},
      {"at > datetime('now')", "would read the clock"},
      {"at > datetime()", "reads the clock"},
      {"nosuch(n) = 1", "There is no function nosuch"},
      {"load_extension('x')", "There is no function load_extension"},
      {"k IN json_each(list)", "There is no function json_each"},
      {"k = x'00'", "no BLOBs"},
      {"k REGEXP 'x'", "There is no REGEXP"},
      {"length(k, 2) = 1", "SQL: wrong number of arguments"},
      {"(n, k) = 3", "SQL: row value misused"},
      {std::string(4'001, ' ') + "1", "longer than 4000 bytes"},
      {"n" + std::string(500, '+') + "n = 1", "SQL: "},
  };
  for (const auto& [where, sentence] : cases) EXPECT_THAT(w.refusal(where), HasSubstr(sentence)) << where;
  EXPECT_THAT(w.refusal("n + k > 3 /* sum */"), IsEmpty());
}

TEST(Predicate, WhatSqlCannotWorkOutDoesNotFitAndNothingRunsAway) {
  PredicateWorld w;
  w.add(R"({"k":"a","n":1,"a":"much"})");
  w.add(R"({"k":"b","n":1,"a":"2"})");
  Copy copy(w, "number(a) > 1");
  copy.connect();
  EXPECT_THAT(copy.said(), ElementsAre("+b"));
  const Row row{std::string("a"), std::int64_t{1}, {}, {}, {}, {}, {}};
  for (const char* large :
       {"length(printf('%40000d', n) || printf('%40000d', n)) > 1", "'x' LIKE printf('%101d', n)"}) {
    const auto fits = w.filter(large)->fits(row);
    ASSERT_FALSE(fits) << large;
    EXPECT_EQ(fits.error(), errno_error(E2BIG)) << large;
  }
  // A row that is large itself may be looked at whole.
  const Row large{std::string(300'000, 'a'), std::int64_t{1}, {}, {}, {}, {}, {}};
  EXPECT_TRUE(*w.filter("length(k || k) = 600000")->fits(large));
  // What came before it counts for nothing afterwards.
  EXPECT_TRUE(*w.filter("n = 1")->fits(row));
}

}  // namespace
}  // namespace tidemill::views
