#pragma once

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <string>

#include "tests/consumers/views_store/bases_world.h"

namespace tidemill::views {

// Some keys come all the time, some seldom; values of every type, and none; some cannot be counted.
struct Event {
  std::string k, n, x, tag, list;
  bool bad = false;

  static Event of(std::uint64_t sequence, bool mended = false) {
    std::mt19937_64 random(sequence * 7919);
    Event e;
    e.k = "k" + std::to_string(random() % 3 == 0 ? random() % 9 : 0);
    e.bad = random() % 9 == 0;
    const auto n = random() % 11;
    e.n = e.bad && !mended ? "\"many\"" : n == 10 ? "null" : std::to_string(n) + (n == 3 ? ".25" : "");
    const char* const kinds[] = {"null", "\"a\"", "\"b\"", "7", "7.5", "\"7\"", "[1,2]", "true"};
    e.x = kinds[random() % 8];
    e.tag = kinds[random() % 3];
    for (auto left = random() % 4; left > 0; --left)
      e.list += (e.list.empty() ? "" : ",") + std::to_string(random() % 5);
    return e;
  }
  std::string text() const {
    return R"({"k":")" + k + R"(","n":)" + n + ",\"x\":" + x + ",\"tag\":" + tag + ",\"list\":[" + list + "]}";
  }
  // Of those that cannot be counted.
  static std::optional<DecisionRequest::What> decision(std::uint64_t sequence) {
    if (!of(sequence).bad || sequence % 4 == 0) return std::nullopt;
    return sequence % 4 == 1 ? DecisionRequest::What::skip : DecisionRequest::What::edit;
  }
};

inline const std::map<std::string, std::string> kViews = {
    {"every",
     "SELECT k, count(*) AS a, count(n) AS b, sum(n) AS c, avg(n) AS d, min(x) AS e, max(x) AS f, first(x) AS g, "
     "last(x) AS h, count(DISTINCT x) AS i, approx_count_distinct(x) AS j, arg_min(x, n) AS l, arg_max(x, n) AS m, "
     "stddev(n) AS o, variance(n) AS p, stddev_pop(n) AS q, var_pop(n) AS r, median(n) AS s, quantile(n, 0.9) AS t, "
     "collect(x) AS u, map(tag, n) AS v FROM s GROUP BY k"},
    {"filters",
     "SELECT k, tag, sum(n) FILTER (WHERE n > 3) AS big, collect(json_object('n', n, 't', _time)) FILTER (WHERE tag = "
     "'a') AS list, count(DISTINCT x) FILTER (WHERE _sequence % 2 = 0) AS even, CASE WHEN max(n) > 8 THEN 'large' ELSE "
     "'small' END AS size, round(sum(n) * 1.0 / count(*), 2) AS mean, last(_time) AS seen, max(_shard) AS shard "
     "FROM s WHERE n IS NOT NULL GROUP BY k, tag"},
    {"elements",
     "SELECT value AS item, count(*) AS n, collect(key) AS places, count(DISTINCT k) AS ks, last(n) AS last_n FROM s, "
     "json_each(list) GROUP BY value"},
    {"whole",
     "SELECT count(*) AS n, sum(n) AS total, count(DISTINCT k) AS ks, collect(x) AS xs, map(k, n) AS latest FROM s"}};

class PastWorld : public BasesWorld {
 public:
  explicit PastWorld(std::uint64_t seed = 1, Logger& logger = null_logger()) : BasesWorld(seed, logger) {}

  void define(const std::string& name, const std::string& sql) {
    const auto made = views->create(name, sql);
    const auto* error = std::get_if<SqlError>(&made);
    ASSERT_EQ(error, nullptr) << error->message;
  }
  void add(const std::string& data) {
    ASSERT_TRUE(put(stream(), "p" + std::to_string(log().durable().value() % 5), data).ok());
    sim.executor.run_for(std::chrono::minutes(1));
  }
  void add_event() { add(Event::of(log().durable().value() + 1).text()); }
  void caught_up(const std::string& view) {
    sim.executor.run_until([&] { return views->find(view)->applied.sequence() == log().durable(); });
  }
  void decide(std::uint64_t sequence) {
    const auto what = Event::decision(sequence);
    if (!what) return;
    for (const char* view : {"every", "filters", "whole"}) {
      caught_up(view);
      DecisionRequest request{.what = *what, .sequence = Sequence(sequence)};
      if (*what == DecisionRequest::What::edit) request.data = Event::of(sequence, true).text();
      const auto made = views->decide(view, request);
      const auto* error = std::get_if<SqlError>(&made);
      ASSERT_EQ(error, nullptr) << view << " " << sequence << ": " << error->code << " " << error->message;
    }
  }
  // By key as text: the key and the row.
  struct Shown {
    Row key;
    std::string text;
  };
  std::map<std::string, Shown> all(const std::string& view) {
    caught_up(view);
    std::map<std::string, Shown> out;
    const auto columns = static_cast<std::ptrdiff_t>(views->find(view)->key_columns);
    const auto got = views->range(view, {.limit = 1'000});
    EXPECT_TRUE(got && *got);
    for (const Row& row : (*got)->rows) {
      Row key(row.begin(), row.begin() + columns);
      const std::string name = ViewsWorld::text(key);
      out[name] = {std::move(key), ViewsWorld::text(row)};
    }
    return out;
  }
  // The row as text; "-": none; else why not.
  std::string at(const std::string& view, const Row& key, const PastOptions& options) {
    last = {};
    const auto got = views->get_at(view, key, options);
    if (!got) return "error: " + got.error().message();
    EXPECT_TRUE(*got);
    last = **got;
    if (last.refused) return last.refused->code;
    return last.row ? ViewsWorld::text(*last.row) : "-";
  }
  std::string at(const std::string& view, const Row& key, std::uint64_t sequence) {
    return at(view, key, {.at = Sequence(sequence)});
  }

  Views::PastResult last;
};

}  // namespace tidemill::views
