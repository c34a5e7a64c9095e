// The aggregates beyond the plain ones: each against an independent fold of the same records, whatever the batch cuts.
#include <cmath>

#include "tests/consumers/views/plain_table.h"

namespace tidemill::views {
namespace {

// Keys, numbers of several sizes, texts, NULLs, and records that sums will not take.
Records mixed(std::uint64_t seed, std::size_t n) {
  std::mt19937_64 random(seed);
  Records out;
  for (std::size_t i = 0; i < n; ++i) {
    std::string value;
    switch (random() % 8) {
      case 0:
        value = "null";
        break;
      case 1:
        value = "\"t" + std::to_string(random() % 5) + "\"";
        break;
      case 2:
        value = std::to_string(static_cast<double>(random() % 100'000) / 100);
        break;
      default:
        value = std::to_string(static_cast<int>(random() % 21) - 10);
    }
    out.add("{\"k\":" + std::to_string(random() % 7) + ",\"v\":" + value +
            ",\"n\":" + std::to_string(static_cast<double>(random() % 100'000) / 100 - 300) + ",\"s\":\"s" +
            std::to_string(random() % 40) + "\"}");
  }
  return out;
}

TEST(ArgExtremes, AreThoseOfAPlainTable) {
  Records r = mixed(1, 700);
  PlainTable plain(r);
  auto one = [](const char* order) {
    return std::string("(SELECT u.data ->> 's' FROM t u WHERE u.data ->> 'k' = k AND u.data ->> 'v' IS NOT NULL ") +
           "ORDER BY u.data ->> 'v' " + order + ", seq LIMIT 1)";
  };
  EXPECT_EQ(rows_however_cut("SELECT k, arg_min(s, v) AS least, arg_max(s, v) AS most FROM t GROUP BY k", r),
            plain.rows("SELECT k, " + one("ASC") + ", " + one("DESC") +
                       " FROM (SELECT DISTINCT data ->> 'k' AS k FROM t) ORDER BY k"));
  EXPECT_EQ(rows_however_cut("SELECT arg_max(v, _sequence) FILTER (WHERE k = 3) AS v FROM t", r),
            plain.rows("SELECT data ->> 'v' FROM t WHERE data ->> 'k' = 3 AND data ->> 'v' IS NOT NULL ORDER BY seq "
                       "DESC LIMIT 1"));
}

TEST(ArgExtremes, OfEqualsTheEarliestAndNullsNever) {
  Records r;
  r.add(R"({"x":"a","y":null})")
      .add(R"({"x":"b","y":2})")
      .add(R"({"x":"c","y":2.0})")
      .add(R"({"x":null,"y":1})")
      .add(R"({"x":{"in":[1]},"y":"text"})");
  EXPECT_EQ(
      rows_however_cut("SELECT arg_min(x, y) AS a, arg_max(x, y) AS b, json_extract(arg_max(x, y), '$.in[0]') AS c,"
                       " arg_max(x, y) FILTER (WHERE y < 0) AS d FROM t",
                       r),
      std::vector<std::string>{"b|{\"in\":[1]}|1|NULL"});
}

TEST(Spread, AgreesWithTwoPasses) {
  for (double offset : {0.0, 1e6, -1e12}) {
    std::mt19937_64 random(7);
    Records r;
    std::vector<long double> numbers[3];
    for (int i = 0; i < 900; ++i) {
      auto k = random() % 3;
      double v = offset + static_cast<double>(random() % 1'000'000) / 1024;  // no rounding in offset + v
      char digits[40];
      std::snprintf(digits, sizeof digits, "%.17g", v);
      r.add("{\"k\":" + std::to_string(k) + ",\"v\":" + digits + "}").add("{\"k\":0,\"v\":\"no number\"}");
      numbers[k].push_back(v);
    }
    std::vector<std::string> want;
    for (int k = 0; k < 3; ++k) {
      auto n = static_cast<long double>(numbers[k].size());
      long double mean = 0, squares = 0;
      for (auto v : numbers[k]) mean += v;
      mean /= n;
      for (auto v : numbers[k]) squares += (v - mean) * (v - mean);
      auto shown = [](long double v) { return Value(static_cast<double>(v)); };
      want.push_back(text(Row{Value(std::int64_t{k}), shown(std::sqrt(squares / (n - 1))), shown(squares / n)}));
    }
    auto cut = [](std::vector<std::string> rows) {  // 12 digits: what two passes in long double are sure of
      for (std::string& row : rows) {
        std::string out;
        for (std::size_t at = 0; at <= row.size();) {
          std::size_t end = std::min(row.find('|', at), row.size());
          char digits[40];
          std::snprintf(digits, sizeof digits, "%.12g ", std::stod(row.substr(at, end - at)));
          out += digits;
          at = end + 1;
        }
        row = out;
      }
      return rows;
    };
    EXPECT_EQ(cut(rows_however_cut("SELECT k, stddev(v) AS s, var_pop(v) AS p FROM t GROUP BY k", r)), cut(want));
  }
}

TEST(Spread, IsExactWhereFloatingPointCancels) {
  // Deviations -6, -3, 3, 6 whatever the mean: the textbook formula in doubles gives 0 or less than 0 here.
  for (const char* base : {"0", "1000000000", "1000000000000000", "-4611686018427387904"}) {
    Records r;
    for (int d : {4, 7, 13, 16}) r.add("{\"v\":" + std::to_string(std::stoll(base) + d) + "}");
    EXPECT_EQ(rows_however_cut("SELECT variance(v) AS a, var_samp(v) AS b, var_pop(v) AS c, stddev(v) AS d, "
                               "stddev_samp(v) AS e, stddev_pop(v) AS f FROM t",
                               r),
              std::vector<std::string>{"30|30|22.5|5.47722557505166|5.47722557505166|4.74341649025257"})
        << base;
  }
  Records far;  // whose squares no double holds
  far.add(R"({"v":1e300})").add(R"({"v":-1e300})").add(R"({"w":3e-300})").add(R"({"w":5e-300})");
  EXPECT_EQ(rows_however_cut("SELECT stddev_pop(v) AS v, stddev_pop(w) AS w FROM t", far),
            std::vector<std::string>{"1e+300|1e-300"});
}

TEST(Spread, OfOneAndOfNone) {
  Records r;
  r.add(R"({"k":1,"v":5})").add(R"({"k":2})").add(R"({"k":3,"v":2.5})").add(R"({"k":3,"v":2.5})");
  EXPECT_EQ(rows_however_cut("SELECT k, stddev(v) AS a, variance(v) AS b, stddev_pop(v) AS c, var_pop(v) AS d "
                             "FROM t GROUP BY k",
                             r),
            (std::vector<std::string>{"1|NULL|NULL|0|0", "2|NULL|NULL|NULL|NULL", "3|0|0|0|0"}));
}

TEST(Spread, OneStateServesItsKin) {
  Definition d = must_split(
      "SELECT stddev(v) AS a, variance(v) AS b, stddev(w) AS c, var_pop(v) FILTER (WHERE w > 0) AS d, stddev_pop(v) AS "
      "e FROM t");
  std::string shares;
  for (const AggregateCall& call : d.aggregates) shares += call.shares ? std::to_string(*call.shares) : "-";
  EXPECT_EQ(shares, "-0--0");
  Records r = mixed(2, 50);
  MemoryView one("SELECT stddev(n) AS a FROM t"),
      four("SELECT stddev(n) AS a, variance(n), var_pop(n), stddev_pop(n) FROM t");
  one.apply(r.all());
  four.apply(r.all());
  EXPECT_EQ(one.bytes(), four.bytes());
}

TEST(ApproxCountDistinct, CountsAsCountDistinctDoes) {
  Records r = mixed(3, 800);
  EXPECT_EQ(rows_however_cut("SELECT k, approx_count_distinct(v) AS n, approx_count_distinct(s) FILTER (WHERE n > 0) "
                             "AS m FROM t GROUP BY k",
                             r),
            PlainTable(r).rows("SELECT data ->> 'k' AS k, count(DISTINCT data ->> 'v'), count(DISTINCT data ->> 's') "
                               "FILTER (WHERE data ->> 'n' > 0) FROM t GROUP BY 1 ORDER BY 1"));
  Records many;
  for (int i = 0; i < 30'000; ++i) many.add("{\"v\":\"user" + std::to_string(i % 20'000) + "\"}");
  MemoryView view("SELECT approx_count_distinct(v) AS n FROM t");
  for (std::size_t at = 0; at < many.size(); at += 5'000) view.apply(many.cut(at, 5'000));
  auto n = std::get<std::int64_t>(view.row({}).at(0));
  EXPECT_NEAR(static_cast<double>(n), 20'000, 20'000 * 0.05);
}

TEST(Quantiles, AreThoseOfAPlainTable) {
  Records r = mixed(4, 900);
  // quantile_cont of SQLite's rows: the number at the place, and straight on to the next.
  auto quantile = [](const std::string& f) {
    return "(WITH o AS (SELECT u.data ->> 'v' AS v, row_number() OVER (ORDER BY u.data ->> 'v') - 1 AS i, count(*) "
           "OVER "
           "() AS n FROM t u WHERE u.data ->> 'k' = k AND typeof(u.data ->> 'v') IN ('integer', 'real')), p AS (SELECT "
           "CAST((n - 1) * " +
           f + " AS INTEGER) AS i, (n - 1) * " + f +
           " AS place FROM o LIMIT 1) SELECT "
           "round(max(v) FILTER (WHERE o.i = p.i) + (place - p.i) * (coalesce(max(v) FILTER (WHERE o.i = p.i + 1), 0) "
           "- "
           "max(v) FILTER (WHERE o.i = p.i)), 9) FROM o, p)";
  };
  EXPECT_EQ(
      rows_however_cut("SELECT k, round(median(v), 9) AS m, round(quantile(v, 0.9), 9) AS p, min(v) = quantile(v, "
                       "0) AS least FROM t WHERE typeof(v) <> 'text' GROUP BY k",
                       r),
      PlainTable(r).rows("SELECT k, " + quantile("0.5") + ", " + quantile("0.9") +
                         ", 1 FROM (SELECT DISTINCT data ->> 'k' AS k FROM t) ORDER BY k"));
  Definition d =
      must_split("SELECT median(v), quantile(v, .5) AS a, quantile(v, 0.99) AS b, quantile(k, 1) AS c FROM t");
  std::string shares;
  for (const AggregateCall& call : d.aggregates) shares += call.shares ? std::to_string(*call.shares) : "-";
  EXPECT_EQ(shares, "-0-");  // median and quantile .5 are one call; 0.99 reads its state
}

TEST(Quantiles, OfNothingAndOfText) {
  Records r;
  r.add(R"({"k":1})").add(R"({"k":2,"v":"12"})").add(R"({"k":2,"v":7})");
  MemoryView view("SELECT k, median(v) AS m, quantile(v, 0.25) AS q FROM t GROUP BY k");
  view.apply(r.all());
  EXPECT_EQ(texts(view.rows()), (std::vector<std::string>{"1|NULL|NULL", "2|7|7"}));
  EXPECT_EQ(view.parked,
            std::vector<std::string>{"2: median(v): text where a number is wanted; number(x) reads numbers "
                                     "that came as text"});
}

TEST(Maps, KeepTheLastValueOfEachKey) {
  Records r = mixed(5, 900);
  EXPECT_EQ(
      rows_however_cut("SELECT k, map(s, v) AS m, json_extract(map(s, v), '$.s7') AS seven FROM t GROUP BY k", r),
      PlainTable(r).rows(
          "SELECT k, json_group_object(s, v), max(v) FILTER (WHERE s = 's7') FROM (SELECT data ->> 'k' AS k, data "
          "->> 's' AS s, iif(data ->> 'v' = CAST(data ->> 'v' AS INTEGER), CAST(data ->> 'v' AS INTEGER), data ->> "
          "'v') "
          "AS v FROM t WHERE seq IN (SELECT max(seq) FROM t WHERE data ->> 'v' IS NOT "
          "NULL GROUP BY data ->> 'k', data ->> 's') ORDER BY k, s) GROUP BY k ORDER BY k"));
}

TEST(Maps, KeysAreTextAndValuesAreAnything) {
  Records r;
  r.add(R"({"k":1,"v":"one"})")
      .add(R"({"k":"a\"b","v":{"in":[1,2]}})")
      .add(R"({"k":1.0,"v":null})")
      .add(R"({"k":null,"v":3})")
      .add(R"({"k":"1","v":2.5})")
      .add(R"({"k":-0.25,"v":true})");
  EXPECT_EQ(
      rows_however_cut("SELECT map(k, v) AS m, map(k, json_array(v)) FILTER (WHERE v = 2.5) AS j, map(k, v) FILTER "
                       "(WHERE v > 1000 AND v < 0) AS none, json_object('m', map(v, k)) IS NULL AS o FROM t",
                       r),
      std::vector<std::string>{R"({"-0.25":1,"1":2.5,"a\"b":{"in":[1,2]}}|{"1":[2.5]}|{}|0)"});
}

TEST(Maps, ShowTheirFirst10000Keys) {
  Records r;
  for (int i = 0; i < 10'010; ++i) r.add("{\"k\":" + std::to_string(20'000 - i) + ",\"v\":1}");
  MemoryView view("SELECT map(k, v) AS m, count(DISTINCT k) AS n FROM t");
  view.apply(r.all());
  Row row = view.row({});
  const std::string& json = std::get<Json>(row.at(0)).text;
  EXPECT_EQ(std::count(json.begin(), json.end(), ','), 9'999);
  EXPECT_TRUE(json.starts_with(R"({"10000":1,)")) << json.substr(0, 40);
  EXPECT_TRUE(json.ends_with(R"("19999":1})")) << json.substr(json.size() - 40);  // 2000, 9991 ... come behind in bytes
  EXPECT_EQ(text({row.at(1)}), "10010");
}

}  // namespace
}  // namespace tidemill::views
