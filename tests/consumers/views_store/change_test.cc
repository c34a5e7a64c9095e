// Views that are made, changed and dropped while they are read.
#include <gmock/gmock.h>

#include "consumers/views/build_pace.h"
#include "consumers/views/view_events.h"
#include "storage/seam/file_system.h"
#include "tests/consumers/views_store/bases_world.h"

namespace tidemill::views {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Did = ViewChange::Did;
using Rows = std::vector<std::string>;

class ChangeWorld : public BasesWorld {
 public:
  using BasesWorld::BasesWorld;
  // What became of a statement; the error's code where it was refused.
  std::string say(const std::string& sql) {
    auto done = views->run(sql);
    if (!done) return "a question";
    if (const auto* error = std::get_if<SqlError>(&*done)) {
      sentence = error->message;
      return error->code;
    }
    last = std::get<ViewChange>(std::get<StatementResult>(*done));
    static const char* const kNames[] = {"created", "exists", "unchanged", "building", "dropped", "absent"};
    return kNames[static_cast<int>(last.did)];
  }
  Explanation explain(const std::string& sql) {
    auto done = views->run(sql);
    if (!done || std::holds_alternative<SqlError>(*done)) {
      ADD_FAILURE() << (done ? std::get<SqlError>(*done).message : "a question");
      return {};
    }
    return std::get<Explanation>(std::get<StatementResult>(*done));
  }
  // Rows as they are now, whatever they are.
  Rows shown(const std::string& view = "v") {
    Rows out;
    const auto got = views->range(view, {.limit = 1000});
    EXPECT_TRUE(got && *got) << view;
    if (!got || !*got) return out;
    for (const Row& r : (*got)->rows) out.push_back(ViewsWorld::text(r));
    return out;
  }
  bool building(const std::string& view = "v") { return views->find(view)->building.has_value(); }
  void until_built(const std::string& view = "v") {
    sim.executor.run_until([&] { return !building(view); });
  }
  void expect_same_after_rebuild(const std::string& view = "v") {
    const auto differences = views->rebuild_and_compare(view);
    ASSERT_TRUE(differences) << differences.error().message();
    EXPECT_THAT(*differences, IsEmpty());
  }

  ViewChange last;
  std::string sentence;
};

const std::string kCount = "SELECT k, count(*) AS n FROM s GROUP BY k";
const std::string kTotal = "SELECT k, sum(n) AS total FROM s GROUP BY k";

Rows counts(std::uint64_t first, std::uint64_t last) {
  Rows out;
  for (const std::string& row : BasesWorld::expected(first, last)) out.push_back(row.substr(0, row.find('|', 3)));
  return out;
}
Rows totals(std::uint64_t first, std::uint64_t last) {
  Rows out;
  for (const std::string& row : BasesWorld::expected(first, last)) {
    const auto a = row.find('|', 3);
    out.push_back(row.substr(0, 3) + row.substr(a + 1, row.find('|', a + 1) - a - 1));
  }
  return out;
}

// The example of docs/formats/system-stream.md.
TEST(ViewEvents, Golden) {
  const std::string sql = "CREATE MATERIALIZED VIEW by_country AS SELECT Country, count(*) AS n FROM retail GROUP BY 1";
  const std::string bytes =
      R"({"name":"by_country","stream":1,"source":")" + sql + R"(","sql":")" + sql + R"(","from":4711,"built":42})";
  EXPECT_EQ(encode_created({in_default("by_country"), StreamId(1), sql, sql, Sequence(4711), 42}), bytes);
  const auto read = decode_created(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->from, Sequence(4711));
  EXPECT_EQ(read->built, 42u);
  const auto old = decode_created(R"({"name":"v","stream":1,"source":"x","sql":"y"})");
  ASSERT_TRUE(old);
  EXPECT_EQ(old->from, Sequence(1));
  EXPECT_EQ(old->built, 0u);
}

TEST(ViewStatements, CreateDropAndTheirIfs) {
  ChangeWorld w;
  EXPECT_EQ(w.say("CREATE MATERIALIZED VIEW v AS " + kCount + ";"), "created");
  EXPECT_EQ(w.last.statement, "CREATE MATERIALIZED VIEW");
  EXPECT_EQ(w.views->find("v")->source, "CREATE MATERIALIZED VIEW v AS " + kCount);
  EXPECT_EQ(w.say("create materialized view v as " + kCount), "view_exists");
  EXPECT_EQ(w.say("CREATE MATERIALIZED VIEW IF NOT EXISTS v AS " + kTotal), "exists");
  EXPECT_EQ(w.say("DROP MATERIALIZED VIEW w"), "no_such_view");
  EXPECT_EQ(w.say("DROP VIEW IF EXISTS w"), "absent");
  EXPECT_EQ(w.say("ALTER VIEW w AS " + kCount), "no_such_view");
  EXPECT_EQ(w.say("ALTER VIEW IF EXISTS w AS " + kCount), "absent");
  EXPECT_EQ(w.say(" DROP VIEW v ; "), "dropped");
  EXPECT_FALSE(w.views->find("v"));
}

TEST(ViewStatements, WhatIsNoViewsIsAQuestion) {
  ChangeWorld w;
  for (const char* sql : {"SELECT 1", "", "  ;", "CREATE TABLE t(a)", "DROP TABLE v", "ALTER TABLE v RENAME TO w",
                          "EXPLAIN QUERY PLAN SELECT 1", "EXPLAIN SELECT k FROM nosuch", "INSERT INTO v VALUES (1)",
                          "WITH x AS (SELECT 1) SELECT * FROM x", "SELECT 'CREATE MATERIALIZED VIEW'"}) {
    EXPECT_EQ(w.say(sql), "a question") << sql;
    EXPECT_FALSE(Views::is_change(sql)) << sql;
  }
  EXPECT_TRUE(Views::is_change("/* x */ drop -- y\n view v"));
  EXPECT_TRUE(Views::is_change("CREATE MATERIALIZED VIEW v AS SELECT 'x"));
  EXPECT_FALSE(Views::is_change("EXPLAIN CREATE MATERIALIZED VIEW v AS " + kCount));
}

TEST(ViewStatements, EachRefusalSaysWhatToWrite) {
  ChangeWorld w;
  EXPECT_EQ(w.say("CREATE VIEW v AS " + kCount), "invalid_view");
  EXPECT_THAT(w.sentence, HasSubstr("line 1, column 1: Write CREATE MATERIALIZED VIEW"));
  EXPECT_EQ(w.say("CREATE OR REPLACE STREAM t AS SELECT k FROM s"), "invalid_view");
  EXPECT_EQ(w.say("CREATE MATERIALIZED VIEW v AS SELECT 'x"), "invalid_view");
  EXPECT_THAT(w.sentence, HasSubstr("not closed"));
  EXPECT_EQ(w.say("DROP VIEW v, w"), "invalid_view");
  EXPECT_THAT(w.sentence, HasSubstr("one view at a time"));
  EXPECT_EQ(w.say("ALTER VIEW v RENAME TO w"), "invalid_view");
  EXPECT_THAT(w.sentence, HasSubstr("keeps its name"));
  EXPECT_EQ(w.say("CREATE OR REPLACE MATERIALIZED VIEW IF NOT EXISTS v AS " + kCount), "invalid_view");
  for (const char* with : {"(start = 'latest')", "(from 'latest')", "(from = )", "(from = 'latest'", "from"}) {
    EXPECT_EQ(w.say(std::string("CREATE MATERIALIZED VIEW v WITH ") + with + " AS " + kCount), "invalid_view") << with;
    EXPECT_THAT(w.sentence, HasSubstr("WITH (from = 'latest')")) << with;
  }
  EXPECT_EQ(w.say("CREATE MATERIALIZED VIEW v WITH (from = 'yesterday') AS " + kCount), "invalid_view");
  EXPECT_THAT(w.sentence, HasSubstr("RFC 3339"));
  EXPECT_EQ(w.say("CREATE MATERIALIZED VIEW v WITH (from = 2) AS " + kCount), "invalid_view");
  EXPECT_THAT(w.sentence, HasSubstr("the next record is 1"));
  EXPECT_EQ(w.say("CREATE MATERIALIZED VIEW v AS WITH x AS (SELECT 1) " + kCount), "invalid_view");
  EXPECT_EQ(w.say("CREATE MATERIALIZED VIEW 1v AS " + kCount), "invalid_view");
  EXPECT_EQ(w.say("CREATE MATERIALIZED VIEW _v AS " + kCount), "invalid_name");
  EXPECT_TRUE(w.views->list().empty());
}

TEST(ViewStatements, TheTrialNamesWhatIsMisspelt) {
  ChangeWorld w;
  w.fill(20);
  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW v AS SELECT K, sum(x) AS total, count(*) AS n FROM s GROUP BY K"),
            "created");
  ASSERT_TRUE(w.last.trial);
  EXPECT_EQ(w.last.trial->records, 20u);
  EXPECT_EQ(w.last.trial->set_aside, 20u);
  EXPECT_EQ(w.last.trial->set_aside_first, Sequence(1));
  ASSERT_EQ(w.last.trial->without_value.size(), 1u);
  EXPECT_THAT(w.last.warnings,
              ElementsAre("The field K has no value in any of the last 20 records: did you mean k?",
                          HasSubstr("20 of the last 20 records would be set aside. The first, sequence 1: ")));

  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW w AS SELECT k, max(nullif(n, n)) AS nothing, collect(n) AS list, "
                  "count(DISTINCT n) AS members FROM s GROUP BY k"),
            "created");
  EXPECT_THAT(w.last.warnings, ElementsAre("The column nothing is NULL in every row that the last 20 records give."));
  ASSERT_EQ(w.last.trial->sample.size(), 5u);
  EXPECT_EQ(ViewsWorld::text(w.last.trial->sample[0]), "k0|NULL|[7,14]|2");
  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW z AS SELECT k, count(*) AS lines FROM s WHERE n < 0 GROUP BY k"),
            "created");
  EXPECT_THAT(w.last.warnings, ElementsAre("None of the last 20 records passes WHERE."));
  EXPECT_TRUE(w.last.trial->sample.empty());
}

TEST(ViewStatements, ExplainShowsTheSplitAndMakesNothing) {
  ChangeWorld w;
  w.fill(3);
  const std::string select = "SELECT k, round(sum(n + 1) / count(*), 1) AS mean FROM s WHERE n > 0 GROUP BY k";
  for (const std::string& sql : {"EXPLAIN " + select, "EXPLAIN CREATE MATERIALIZED VIEW v AS " + select}) {
    const Explanation e = w.explain(sql);
    EXPECT_EQ(e.stream, "s");
    EXPECT_FALSE(e.exists);
    const std::string row = R"(SELECT "k", ("n" + 1) FROM batch WHERE "n" > 0)";
    EXPECT_EQ(e.row_statement, row);
    const std::string final = R"_(SELECT round ("sum(n + 1)" / "count(*)", 1))_";
    EXPECT_EQ(e.final_statement, final);
    ASSERT_EQ(e.groups.size(), 1u);
    ASSERT_EQ(e.aggregates.size(), 2u);
    EXPECT_EQ(e.aggregates[0].text, "sum(n + 1)");
    EXPECT_THAT(e.fields, ElementsAre("k", "n"));
    EXPECT_EQ(e.trial.records, 3u);
  }
  EXPECT_TRUE(w.views->list().empty());
  EXPECT_EQ(w.say("EXPLAIN SELECT k, n FROM s GROUP BY k"), "invalid_view");
  // A view is asked, a stream is not: where both have the name it is a question.
  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW s AS " + kCount), "created");
  EXPECT_EQ(w.say("EXPLAIN SELECT k FROM s"), "a question");
  EXPECT_TRUE(w.explain("EXPLAIN CREATE OR REPLACE MATERIALIZED VIEW s AS " + kCount).exists);
}

TEST(AlterView, TheOldOneIsServedUntilTheNewOneIsThere) {
  ChangeWorld w;
  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW v AS " + kCount), "created");
  w.fill(30);
  ASSERT_EQ(w.rows(), counts(1, 30));
  w.builds.hold();
  ASSERT_EQ(w.say("ALTER VIEW v AS " + kTotal), "building");
  ASSERT_TRUE(w.last.view->building);
  EXPECT_EQ(w.last.view->building->of, Sequence(30));
  EXPECT_EQ(w.last.view->building->source, "CREATE MATERIALIZED VIEW v AS " + kTotal);
  EXPECT_EQ(w.shown(), counts(1, 30)) << "nothing has run since";
  w.sim.executor.run_until_idle();
  w.fill(5);
  EXPECT_EQ(w.rows(), counts(1, 35)) << "it goes on meanwhile";
  ASSERT_TRUE(w.building());
  EXPECT_LT(w.views->find("v")->building->at, Sequence(35));
  w.builds.release();
  // After each step of whatever runs: the old rows or the new ones, whole.
  std::size_t steps = 0;
  w.sim.executor.run_until([&] {
    ++steps;
    EXPECT_EQ(w.shown(), w.building() ? counts(1, 35) : totals(1, 35)) << steps;
    return !w.building();
  });
  EXPECT_GT(steps, 3u);
  EXPECT_EQ(w.shown(), totals(1, 35));
  EXPECT_EQ(w.views->find("v")->columns[1].name, "total");
  w.fill(10);
  EXPECT_EQ(w.rows(), totals(1, 45));
  w.expect_same_after_rebuild();
  w.reopen();
  EXPECT_EQ(w.rows(), totals(1, 45));
  EXPECT_EQ(w.views->find("v")->source, "CREATE MATERIALIZED VIEW v AS " + kTotal);
}

TEST(AlterView, ASecondOneTakesThePlaceOfTheFirstAndTheSameOneOfNone) {
  ChangeWorld w;
  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW v AS " + kCount), "created");
  w.fill(20);
  ASSERT_EQ(w.rows(), counts(1, 20));
  ASSERT_EQ(w.say("ALTER VIEW v AS " + kTotal), "building");
  ASSERT_EQ(w.say("ALTER MATERIALIZED VIEW v AS SELECT k , sum( n ) AS total -- the same\n FROM s GROUP BY k"),
            "building");
  ASSERT_EQ(w.say("CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT k, max(n) AS highest FROM s GROUP BY k"),
            "building");
  w.until_built();
  EXPECT_EQ(w.views->find("v")->columns[1].name, "highest");
  EXPECT_EQ(w.shown()[0], "k0|14");
  EXPECT_EQ(w.say("ALTER VIEW v AS SELECT k, max(n) AS highest FROM s GROUP BY k"), "unchanged");
  EXPECT_THAT(w.last.warnings, IsEmpty());

  ASSERT_EQ(w.say("ALTER VIEW v AS " + kTotal), "building");
  ASSERT_EQ(w.say("ALTER VIEW v AS SELECT k, max(n) AS highest FROM s GROUP BY k"), "unchanged");
  EXPECT_THAT(w.last.warnings, ElementsAre(HasSubstr("given up")));
  EXPECT_FALSE(w.building());
  w.fill(1);
  w.sim.executor.run_until_idle();
  EXPECT_EQ(w.views->find("v")->columns[1].name, "highest");
  w.reopen();
  EXPECT_FALSE(w.building());
  w.expect_same_after_rebuild();
}

TEST(AlterView, DroppedWhileItIsBuiltNothingIsLeft) {
  ChangeWorld w;
  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW v AS " + kCount), "created");
  w.fill(20);
  ASSERT_EQ(w.say("ALTER VIEW v AS " + kTotal), "building");
  EXPECT_EQ(w.say("DROP VIEW v"), "dropped");
  w.sim.executor.run_until_idle();
  EXPECT_TRUE(w.views->list().empty());
  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW v AS " + kCount), "created");
  EXPECT_EQ(w.rows(), counts(1, 20));
  w.reopen();
  EXPECT_EQ(w.rows(), counts(1, 20));
  EXPECT_FALSE(w.building());
}

TEST(AlterView, AnotherStreamIsRefused) {
  ChangeWorld w;
  ASSERT_TRUE(w.create("other", 2));
  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW v AS " + kCount), "created");
  EXPECT_EQ(w.say("ALTER VIEW v AS SELECT k, count(*) AS n FROM other GROUP BY k"), "not_supported");
  EXPECT_THAT(w.sentence, HasSubstr("reads the stream s"));
}

TEST(AlterView, WhoWaitsForAPositionIsCalledByTheNewOne) {
  ChangeWorld w;
  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW v AS " + kCount), "created");
  w.fill(20);
  ASSERT_EQ(w.rows(), counts(1, 20));
  ASSERT_EQ(w.say("ALTER VIEW v AS " + kTotal), "building");
  int called = 0;
  int dropped = 0;
  const auto kept = w.views->when_applied("v", Position::through(Sequence(21)), [&] { ++called; });
  auto gone = w.views->when_applied("v", Position::through(Sequence(21)), [&] { ++dropped; });
  w.until_built();
  EXPECT_EQ(called, 0);
  gone.reset();
  w.fill(1);
  EXPECT_EQ(w.rows(), totals(1, 21));
  EXPECT_EQ(called, 1);
  EXPECT_EQ(dropped, 0);
}

TEST(AlterView, WhereItBeginsIsChosenAndKept) {
  ChangeWorld w;
  w.fill(30);
  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW v WITH (from = 11) AS " + kCount), "created");
  EXPECT_EQ(w.rows(), counts(11, 30));
  EXPECT_EQ(w.views->find("v")->since, Sequence(11));
  w.expect_same_after_rebuild();
  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW late WITH (from = 'latest') AS " + kTotal), "created");
  EXPECT_EQ(w.rows("late"), Rows{});
  EXPECT_EQ(w.views->find("late")->since, Sequence(31));
  EXPECT_EQ(w.say("ALTER VIEW late WITH (from = latest) AS " + kTotal), "unchanged");
  const std::string time = format_rfc3339(w.records[20]->record.arrival);
  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW timed WITH (from = '" + time + "') AS " + kCount), "created");
  EXPECT_EQ(w.rows("timed"), counts(21, 30));
  w.fill(5);
  EXPECT_EQ(w.rows(), counts(11, 35));
  EXPECT_EQ(w.rows("late"), totals(31, 35));
  w.expect_same_after_rebuild("late");
  ASSERT_EQ(w.say("ALTER VIEW late WITH (from = '3') AS " + kTotal), "building");
  w.until_built("late");
  EXPECT_EQ(w.shown("late"), totals(3, 35));
  // Its rows are lost: it begins there again, and not at the beginning.
  w.close_all();
  ASSERT_TRUE(remove_tree(w.sim.files, "/data/views"));
  w.open_all();
  EXPECT_EQ(w.rows("late"), totals(3, 35));
  EXPECT_EQ(w.rows(), counts(11, 35));
}

TEST(AlterView, WhatIsBuiltKeepsItsRecordsFromRetention) {
  ChangeWorld w;
  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW v AS " + kCount), "created");
  w.begin();
  w.fill(60);
  w.builds.hold();
  ASSERT_EQ(w.say("ALTER VIEW v AS " + kTotal), "building");
  w.shorten();
  EXPECT_EQ(w.log().start(), Sequence(1)) << "it has read none of them";
  EXPECT_THAT(w.engine->retention(w.stream()).held, HasSubstr("v, as it is being built, has counted"));
  w.builds.release();
  w.until_built();
  w.check();
  EXPECT_GT(w.log().start(), Sequence(1));
  EXPECT_EQ(w.shown(), totals(1, 60));
  EXPECT_EQ(w.views->find("v")->since, Sequence(1));
  w.reopen();
  EXPECT_EQ(w.rows(), totals(1, 60));
  // What is gone is gone: it says since when it counts.
  const std::uint64_t start = w.log().start().value();
  ASSERT_EQ(w.say("ALTER VIEW v AS " + kCount), "building");
  EXPECT_EQ(w.last.view->building->from, Sequence(start));
  w.until_built();
  EXPECT_EQ(w.views->find("v")->since, Sequence(start));
  EXPECT_EQ(w.shown(), counts(start, 60));
}

TEST(AlterView, AViewThatCannotBeOpenedIsMended) {
  ChangeWorld w;
  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW v AS " + kCount), "created");
  w.fill(10);
  w.close_all();
  {
    w.open();
    ASSERT_TRUE(w.engine->remove(in_default("s")));
    w.close();
  }
  w.open_all();
  ASSERT_EQ(w.views->failed().size(), 1u);
  ASSERT_TRUE(w.create("s", 2));
  EXPECT_EQ(w.say("CREATE MATERIALIZED VIEW IF NOT EXISTS v AS " + kCount), "view_exists");
  EXPECT_EQ(w.say("ALTER VIEW v AS " + kCount), "created");
  EXPECT_THAT(w.views->failed(), IsEmpty());
  EXPECT_TRUE(w.views->find("v"));
  w.reopen();
  EXPECT_THAT(w.views->failed(), IsEmpty());
}

// A crash anywhere leaves the old definition or the new one, each with all its rows, and the build comes to its end.
TEST(AlterView, ACrashAtAnyPointLeavesTheOldOneOrTheNewOne) {
  int old_served = 0;
  int new_served = 0;
  for (int tasks = 0; tasks < 60; tasks += 2) {
    SCOPED_TRACE(tasks);
    ChangeWorld w(static_cast<std::uint64_t>(tasks) + 1);
    ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW v AS " + kCount), "created");
    w.fill(15);
    ASSERT_EQ(w.rows(), counts(1, 15));
    ASSERT_EQ(w.say("ALTER VIEW v AS " + kTotal), "building");
    for (int i = 0; i < tasks; ++i) w.sim.executor.run_one();
    w.power_cut();
    w.open_all();
    ASSERT_TRUE(w.views->find("v"));
    const bool is_old = w.views->find("v")->columns[1].name == "n";
    ++(is_old ? old_served : new_served);
    EXPECT_EQ(w.building(), is_old);
    w.sim.executor.run_until([&] { return w.views->ready(); });
    if (is_old && w.building()) {
      EXPECT_EQ(w.shown(), counts(1, 15));
    }
    w.until_built();
    w.fill(5);
    EXPECT_EQ(w.rows(), totals(1, 20));
    w.expect_same_after_rebuild();
  }
  EXPECT_GT(old_served, 0);
  EXPECT_GT(new_served, 0);
}

TEST(BuildPace, RestsWhileRecordsComeAndLongerWhileTheyComeLate) {
  BuildPace pace;
  const MonotonicTime now = MonotonicTime() + std::chrono::hours(1);
  const std::chrono::milliseconds slice(10);
  EXPECT_EQ(pace.pause(slice, now).count(), 0);
  pace.served(std::chrono::milliseconds(5), now);
  EXPECT_EQ(pace.pause(slice, now), slice);
  pace.served(std::chrono::milliseconds(500), now);
  EXPECT_EQ(pace.pause(slice, now + BuildPace::kRemembered), 4 * slice);
  EXPECT_EQ(pace.pause(std::chrono::seconds(2), now), BuildPace::kPauseMax);
  EXPECT_EQ(pace.pause(slice, now + BuildPace::kRemembered + slice).count(), 0);
}

}  // namespace
}  // namespace tidemill::views
