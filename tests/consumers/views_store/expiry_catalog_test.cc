// Views whose rows go with time, through all doors: rows, ranges, SQL, comparing, changing, restarting.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/consumers/views_store/views_world.h"

namespace tidemill::views {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const WallTime kNoon = *parse_rfc3339("2026-03-01T12:00:00.000Z");

struct World : ViewsWorld {
  World() { open(); }
  void define(const std::string& sql) {
    auto made = views->run(sql);
    ASSERT_TRUE(made);
    const auto* error = std::get_if<SqlError>(&*made);
    ASSERT_EQ(error, nullptr) << error->message;
  }
  std::string refusal(const std::string& sql) {
    auto made = views->run(sql);
    const auto* error = made ? std::get_if<SqlError>(&*made) : nullptr;
    return error == nullptr ? "" : error->message;
  }
  void come(const std::string& customer, const std::string& item, WallTime at, const std::string& view = "live") {
    wait(view, put(stream(), {R"({"customer":")" + customer + R"(","item":")" + item + "\"}"}, at));
  }
  std::vector<std::string> ask(const std::string& sql) {
    std::vector<std::string> out;
    auto cursor = views->query(sql, {}, {});
    const auto* error = std::get_if<SqlError>(&cursor);
    EXPECT_EQ(error, nullptr) << error->message;
    if (error != nullptr) return out;
    for (;;) {
      auto rows = std::get<0>(cursor)->next(100);
      if (std::get<0>(rows).empty()) return out;
      for (const Row& row : std::get<0>(rows)) out.push_back(text(row));
    }
  }
  void expect_same_when_rebuilt(const std::string& view = "live") {
    const auto differences = views->rebuild_and_compare(view);
    ASSERT_TRUE(differences);
    for (const auto& d : *differences) ADD_FAILURE() << d.key << ": " << d.live << " and " << d.rebuilt;
  }
};

constexpr const char* kLive =
    "CREATE MATERIALIZED VIEW live WITH (ttl = '1 hour') AS SELECT customer, count(*) AS n, collect(item) AS items "
    "FROM "
    "retail GROUP BY customer";

TEST(ExpiryCatalog, ARowThatHasGoneIsSeenByNobody) {
  World world;
  world.stream();
  world.define(kLive);
  world.come("ann", "tea", kNoon);
  world.come("bob", "cup", kNoon + minutes(30));
  EXPECT_THAT(world.rows("live"), ElementsAre("ann|1|[\"tea\"]", "bob|1|[\"cup\"]"));
  world.come("bob", "pot", kNoon + minutes(59));
  EXPECT_EQ(world.row("live", {std::string("ann")}), "ann|1|[\"tea\"]") << "a moment is left";

  world.come("eve", "jar", kNoon + minutes(60));
  EXPECT_EQ(world.row("live", {std::string("ann")}), "-");
  EXPECT_THAT(world.rows("live"), ElementsAre("bob|2|[\"cup\",\"pot\"]", "eve|1|[\"jar\"]"));
  EXPECT_THAT(world.ask("SELECT customer, n FROM live"), ElementsAre("bob|2", "eve|1"));
  EXPECT_THAT(world.ask("SELECT customer FROM live ORDER BY customer DESC LIMIT 5"), ElementsAre("eve", "bob"));
  EXPECT_THAT(world.ask("SELECT count(*) FROM live"), ElementsAre("2"));
  EXPECT_THAT(world.ask("SELECT n FROM live WHERE customer IN ('ann', 'bob')"), ElementsAre("2"));
  world.expect_same_when_rebuilt();

  // It begins anew, with nothing of what it was.
  world.come("ann", "mug", kNoon + minutes(61));
  EXPECT_EQ(world.row("live", {std::string("ann")}), "ann|1|[\"mug\"]");
  world.expect_same_when_rebuilt();
  world.reopen();
  world.wait("live", Sequence(5));
  EXPECT_THAT(world.rows("live"), ElementsAre("ann|1|[\"mug\"]", "bob|2|[\"cup\",\"pot\"]", "eve|1|[\"jar\"]"));
  world.expect_same_when_rebuilt();
}

// One record moves stream time over thousands of rows: nobody sees them, and their bytes go although nothing else
// comes.
TEST(ExpiryCatalog, WhatHasGoneIsRemovedWhileNothingComes) {
  World world;
  world.define((world.stream(), kLive));
  std::vector<std::string> many;
  for (int i = 0; i < 7'000; ++i) many.push_back(R"({"customer":)" + std::to_string(i) + R"(,"item":"x"})");
  world.wait("live", world.put(world.stream(), many, kNoon));
  EXPECT_EQ(world.views->find("live")->rows, 7'000u);
  world.come("ann", "tea", kNoon + hours(5));
  EXPECT_THAT(world.ask("SELECT count(*) FROM live"), ElementsAre("1"));
  world.expect_same_when_rebuilt();
  while (world.views->find("live")->rows != 1) std::this_thread::yield();
  EXPECT_EQ(world.views->find("live")->expiry->expired, 7'000u);
  EXPECT_THAT(world.rows("live"), ElementsAre("ann|1|[\"tea\"]"));
  world.expect_same_when_rebuilt();
}

TEST(ExpiryCatalog, AWindowsRowGoesSomeTimeAfterItsEndAndWhatComesLaterIsCountedAsLate) {
  World world;
  world.stream();
  world.define(
      "CREATE MATERIALIZED VIEW daily WITH (window = day, size = '1 day', retention = '12 hours') AS SELECT "
      "date(timestamp(at)) AS day, count(*) AS n FROM retail GROUP BY day");
  const auto at = [&](const std::string& time, WallTime arrival) {
    world.wait("daily", world.put(world.stream(), {R"({"at":")" + time + "\"}"}, arrival));
  };
  at("2026-03-01T09:00:00Z", kNoon);
  at("2026-02-28T23:00:00Z", kNoon - minutes(1));  // its window ended 12 hours before, less a minute of stream time
  EXPECT_THAT(world.rows("daily"), ElementsAre("2026-03-01|1")) << "stream time is noon";
  at("2026-03-01T23:59:59Z", kNoon + hours(23));
  at("2026-03-02T10:00:00Z", kNoon + hours(23));
  EXPECT_THAT(world.rows("daily"), ElementsAre("2026-03-01|2", "2026-03-02|1"));
  at("2026-03-02T11:00:00Z", kNoon + hours(24));
  at("2026-03-01T10:00:00Z", kNoon + hours(24));
  at("nonsense", kNoon + hours(24));
  EXPECT_THAT(world.rows("daily"), ElementsAre("2026-03-02|2"));
  const auto info = *world.views->find("daily");
  ASSERT_TRUE(info.expiry);
  EXPECT_EQ(info.expiry->late, 2u);
  EXPECT_EQ(info.expiry->expired, 1u);
  EXPECT_EQ(info.expiry->stream_time, kNoon + hours(24));
  EXPECT_THAT(info.expiry->rule, HasSubstr("12 hours of stream time after its window has ended"));
  EXPECT_EQ(info.parked, 1u) << "a group key that is no time";
  world.expect_same_when_rebuilt("daily");
}

// A record with elements in several windows: those in time are counted, the record is late once.
TEST(ExpiryCatalog, ARecordMayBeLateWithSomeOfItsRows) {
  World world;
  world.stream();
  world.define(
      "CREATE MATERIALIZED VIEW daily WITH (window = day, size = '1 day', retention = '1 hour') AS SELECT "
      "date(timestamp(value)) AS day, count(*) AS n FROM retail, json_each(days) GROUP BY day");
  const auto days = [&](const std::string& list) {
    world.wait("daily", world.put(world.stream(), {R"({"days":[)" + list + "]}"}, kNoon));
  };
  days(R"("2026-03-01","2026-02-27","2026-03-02","2026-02-28")");
  days(R"("2026-03-02","2026-02-28","never")");
  EXPECT_THAT(world.rows("daily"), ElementsAre("2026-03-01|1", "2026-03-02|1"));
  EXPECT_EQ(world.views->find("daily")->expiry->late, 1u);
  EXPECT_EQ(world.views->find("daily")->parked, 1u) << "whole";
  world.expect_same_when_rebuilt("daily");
}

// Its turn is past: which life of the row would it be in?
TEST(ExpiryCatalog, ARecordInQuarantineIsSkippedAndNotCountedLate) {
  World world;
  world.stream();
  world.define(
      "CREATE MATERIALIZED VIEW live WITH (ttl = '1 hour') AS SELECT customer, sum(q) AS q FROM retail GROUP BY "
      "customer");
  world.put(world.stream(), {R"({"customer":"ann","q":"two"})"}, kNoon);
  world.come("ann", "tea", kNoon + minutes(1));
  DecisionRequest request;
  request.sequence = Sequence(1);
  request.what = DecisionRequest::What::edit;
  request.data = R"({"customer":"ann","q":2})";
  auto edited = world.views->decide("live", request);
  ASSERT_TRUE(std::holds_alternative<SqlError>(edited));
  EXPECT_EQ(std::get<SqlError>(edited).code, "still_refused");
  EXPECT_THAT(std::get<SqlError>(edited).message, HasSubstr("Send it again, corrected"));
  EXPECT_EQ(world.row("live", {std::string("ann")}), "ann|NULL");
  request.what = DecisionRequest::What::skip;
  ASSERT_TRUE(std::holds_alternative<DecisionResult>(world.views->decide("live", request)));
  EXPECT_EQ(world.views->find("live")->parked, 0u);
  world.come("bob", "tea", kNoon + hours(2));
  EXPECT_THAT(world.rows("live"), ElementsAre("bob|NULL"));
  world.expect_same_when_rebuilt();
}

// An edit that was made before rows went with time holds in the record's turn.
TEST(ExpiryCatalog, AnEditOfBeforeTheAlterCountsAtItsTime) {
  World world;
  world.stream();
  world.define(
      "CREATE MATERIALIZED VIEW live AS SELECT customer, sum(q) AS q, collect(q) AS qs FROM retail GROUP BY 1");
  world.put(world.stream(), {R"({"customer":"ann","q":"two"})", R"({"customer":"eve","q":"six"})"}, kNoon);
  world.come("bob", "tea", kNoon + minutes(59));
  DecisionRequest request;
  request.what = DecisionRequest::What::edit;
  request.sequence = Sequence(1);
  request.data = R"({"customer":"ann","q":2})";
  ASSERT_TRUE(std::holds_alternative<DecisionResult>(world.views->decide("live", request)));
  world.define(
      "ALTER VIEW live WITH (ttl = '1 hour') AS SELECT customer, sum(q) AS q, collect(q) AS qs FROM retail GROUP BY 1");
  while (world.views->find("live")->building) std::this_thread::yield();
  EXPECT_THAT(world.rows("live"), ElementsAre("ann|2|[2]", "bob|NULL|[]"));
  world.expect_same_when_rebuilt();
  world.come("bob", "tea", kNoon + minutes(60));
  EXPECT_THAT(world.rows("live"), ElementsAre("bob|NULL|[]"));
  world.expect_same_when_rebuilt();
}

TEST(ExpiryCatalog, AnAlterOfTheTimeBuildsAnewAndTheSameOneDoesNothing) {
  World world;
  world.stream();
  world.define(kLive);
  world.come("ann", "tea", kNoon);
  world.come("bob", "cup", kNoon + hours(2));
  EXPECT_THAT(world.rows("live"), ElementsAre("bob|1|[\"cup\"]"));
  const auto alter = [&](const std::string& with) {
    auto changed = world.views->run("ALTER VIEW live " + with +
                                    " AS SELECT customer, count(*) AS n, collect(item) AS items FROM retail GROUP BY "
                                    "customer");
    return std::get<ViewChange>(std::get<StatementResult>(*changed)).did;
  };
  EXPECT_EQ(alter("WITH (ttl = '1 hour')"), ViewChange::Did::unchanged);
  EXPECT_EQ(alter("WITH (ttl = '1 day')"), ViewChange::Did::building);
  while (world.views->find("live")->building) std::this_thread::yield();
  EXPECT_THAT(world.rows("live"), ElementsAre("ann|1|[\"tea\"]", "bob|1|[\"cup\"]"));
  world.expect_same_when_rebuilt();
  EXPECT_EQ(alter(""), ViewChange::Did::building);
  while (world.views->find("live")->building) std::this_thread::yield();
  EXPECT_FALSE(world.views->find("live")->expiry);
  world.expect_same_when_rebuilt();
}

TEST(ExpiryCatalog, ExplainSaysItInWordsAndTheTrialCountsWhatWouldBeLate) {
  World world;
  world.put(world.stream(), {R"({"hour":1})", R"({"hour":2})"}, kNoon);
  auto explained = world.views->run(
      "EXPLAIN CREATE MATERIALIZED VIEW h WITH (window = hour, size = '1 hour', retention = '2 days') AS SELECT hour, "
      "count(*) AS n FROM retail GROUP BY hour");
  const auto& e = std::get<Explanation>(std::get<StatementResult>(*explained));
  EXPECT_THAT(e.expiry, HasSubstr("hour says when that begins, and it has 1 hour"));
  EXPECT_EQ(e.trial.late, 2u) << "1970";
  EXPECT_THAT(e.warnings, ::testing::Contains(HasSubstr("2 of the last 2 records would be dropped as late")));
}

TEST(ExpiryCatalog, WhatCannotBeMeantIsRefusedWithASentence) {
  World world;
  world.stream();
  const auto with = [&](const std::string& options) {
    return world.refusal("CREATE MATERIALIZED VIEW v WITH (" + options +
                         ") AS SELECT date(_time) AS day, count(*) AS n FROM retail GROUP BY day");
  };
  EXPECT_THAT(with("ttl = '3 moons'"), HasSubstr("column 40: ttl takes a number and seconds"));
  EXPECT_THAT(with("ttl = '1 month'"), HasSubstr("no months or years"));
  EXPECT_THAT(with("ttl = '0 days'"), HasSubstr("ttl takes"));
  EXPECT_THAT(with("ttl = '1 day', retention = '2 days'"), HasSubstr("say one of them"));
  EXPECT_THAT(with("retention = '2 days'"), HasSubstr("WITH (window = column"));
  EXPECT_THAT(with("window = hour, size = '1 day', retention = '2 days'"), HasSubstr("hour is none. There are: day."));
  EXPECT_THAT(with("window = day, size = 'a day', retention = '2 days'"), HasSubstr("size takes"));
  EXPECT_THAT(with("ttl = 3"), HasSubstr("The options are from"));
  EXPECT_THAT(with("ttl = '1 day', ttl = '2 days'"), HasSubstr("The options are from"));
  EXPECT_THAT(with("time = '1 day'"), HasSubstr("The options are from"));
  EXPECT_EQ(with("from = 'earliest', window = DAY, size = '1 month', retention = '90m'"), "");
}

}  // namespace
}  // namespace tidemill::views
