// SQL over the views as they were: at a kept point a statement has the rows of then, or none at all.
#include "consumers/views/history.h"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "consumers/views/store_keys.h"
#include "storage/seam/file_system.h"
#include "tests/consumers/views_store/past_world.h"
#include "tests/consumers/views_store/store_world.h"
#include "tests/support/capture_logger.h"

namespace tidemill::views {
namespace {

using std::chrono::minutes;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
using Rows = std::vector<std::string>;

class HistoryWorld : public PastWorld {
 public:
  explicit HistoryWorld(std::uint64_t keep = 1'000, minutes every = minutes(5), Logger& logger = null_logger())
      : PastWorld(1, logger) {
    close_all();
    history_every = every;
    history_keep = keep;
    open_all();
  }

  Rows all_of(QueryCursor& cursor) {
    Rows out;
    for (;;) {
      const auto next = cursor.next(7);
      if (const auto* error = std::get_if<SqlError>(&next)) return {error->code + ": " + error->message};
      if (std::get<0>(next).empty()) return out;
      for (const Row& row : std::get<0>(next)) out.push_back(ViewsWorld::text(row));
    }
  }
  Rows live(const std::string& sql) {
    auto cursor = views->query(sql, {}, {});
    if (const auto* error = std::get_if<SqlError>(&cursor)) return {error->code + ": " + error->message};
    return all_of(*std::get<0>(cursor));
  }
  std::unique_ptr<QueryCursor> open_at(const std::string& sql, const Views::At& at) {
    refused = {};
    auto cursor = views->query_at(sql, {}, {}, at);
    if (const auto* error = std::get_if<SqlError>(&cursor)) refused = *error;
    if (!refused.code.empty()) return nullptr;
    return std::get<0>(std::move(cursor));
  }
  // Rows as text; or why there are none.
  Rows then(const std::string& sql, const Views::At& at) {
    const auto cursor = open_at(sql, at);
    if (!cursor) return {refused.code + ": " + refused.message};
    as_of = cursor->as_of();
    point = *cursor->point();
    return all_of(*cursor);
  }
  Rows then(const std::string& sql, std::uint64_t sequence) { return then(sql, Sequence(sequence)); }
  std::vector<KeptPoint> points() { return views->history().points; }
  std::uint64_t sequence_of(const KeptPoint& p, const std::string& view) {
    for (const auto& v : p.views)
      if (v.name == view) return v.sequence.value();
    return 0;
  }
  // A record of one key, and a point behind it.
  void add_and_keep(const std::string& view = "v") {
    const auto n = log().durable().value() + 1;
    add(R"({"k":"a","n":)" + std::to_string(n) + "}");
    caught_up(view);
    sim.executor.run_for(minutes(6));
  }
  Rows directories() {
    Rows names;
    if (const auto entries = sim.files.list("/data/views.history"))
      for (const auto& e : *entries) names.push_back(e.name);
    return names;
  }

  SqlError refused;
  AsOf as_of;
  KeptPoint point;
};

TEST(History, AStatementAtAPointHasTheRowsOfThen) {
  constexpr std::uint64_t kRecords = 150;
  HistoryWorld w;
  for (const auto& [name, sql] : kViews) w.define(name, sql);
  // By view and sequence: the rows before and after a decision about its last record.
  std::map<std::string, std::map<std::uint64_t, std::vector<Rows>>> lived;
  const auto remember = [&](std::uint64_t s) {
    for (const auto& [name, sql] : kViews) {
      w.caught_up(name);
      lived[name][s].push_back(w.live("SELECT * FROM " + name));
    }
  };
  for (std::uint64_t s = 1; s <= kRecords; ++s) {
    w.add_event();
    remember(s);
    w.decide(s);
    remember(s);
    if (s == kRecords / 2) w.reopen();
  }
  const auto points = w.points();
  EXPECT_GT(points.size(), 25u);
  std::uint64_t compared = 0;
  for (const KeptPoint& p : points) {
    const auto s = w.sequence_of(p, "every");
    for (const auto& [name, sql] : kViews) {
      ASSERT_EQ(w.sequence_of(p, name), s) << "all of a stream at the same record";
      if (s == 0) continue;
      const Rows rows = w.then("SELECT * FROM " + name, p.made);
      ASSERT_THAT(lived[name][s], testing::Contains(rows)) << name << " at " << s;
      EXPECT_EQ(w.point.number, p.number);
      EXPECT_EQ(w.as_of.position.sequence(), Sequence(s));
      EXPECT_EQ(w.as_of.time, w.records[s - 1]->record.arrival);
      EXPECT_FALSE(w.as_of.token.empty());
      if (rows != lived[name][kRecords].back()) ++compared;
    }
    // Both sides of a join are of then, and a condition on the key is still looked up by it.
    if (s == 0) continue;
    EXPECT_EQ(w.then("SELECT (SELECT sum(a) FROM every) - (SELECT n FROM whole)", s), Rows{"0"});
    EXPECT_EQ(w.then("SELECT count(*) FROM every WHERE k = 'k0'", s), Rows{"1"});
  }
  EXPECT_GT(compared, 80u) << "rows that were others than they are";
}

TEST(History, TheNewestPointAtOrBeforeIsTaken) {
  HistoryWorld w;
  w.create_view();
  for (int i = 1; i <= 4; ++i) w.add_and_keep();
  const auto points = w.points();
  ASSERT_EQ(points.size(), 4u);
  for (std::uint64_t s = 1; s <= 4; ++s) {
    ASSERT_EQ(w.sequence_of(points[s - 1], "v"), s);
    EXPECT_EQ(w.then("SELECT n FROM v", s), Rows{std::to_string(s)});
    EXPECT_EQ(w.point.number, points[s - 1].number);
    // By time: from its moment on, until the next one's.
    EXPECT_EQ(w.then("SELECT n FROM v", points[s - 1].made), Rows{std::to_string(s)});
    EXPECT_EQ(w.then("SELECT n FROM v", points[s - 1].made + minutes(2)), Rows{std::to_string(s)});
  }
  EXPECT_EQ(w.then("SELECT n FROM v", w.sim.clock.wall()), Rows{"4"});
  w.add(R"({"k":"a","n":5})");
  w.caught_up("v");
  EXPECT_EQ(w.then("SELECT n FROM v", 5), Rows{"4"}) << "no point of it yet";
  EXPECT_EQ(w.as_of.position.sequence(), Sequence(4));
  EXPECT_EQ(w.live("SELECT n FROM v"), Rows{"5"});

  EXPECT_THAT(w.then("SELECT n FROM v", 6)[0], HasSubstr("at_ahead: The view v has come to sequence 5"));
  EXPECT_THAT(w.then("SELECT n FROM v", w.sim.clock.wall() + minutes(1))[0], StartsWith("at_ahead: "));
  const auto early = w.then("SELECT n FROM v", points[0].made - std::chrono::milliseconds(1))[0];
  EXPECT_THAT(early, StartsWith("history_gone: No point is kept from then. The oldest with it is number " +
                                std::to_string(points[0].number) + ", of "));
  EXPECT_THAT(w.then("SELECT n FROM v", std::uint64_t{0})[0],
              testing::AllOf(StartsWith("history_gone: "), HasSubstr(", at sequence 1.")));
  // What a statement is wrong in is said as ever; one that reads no view is of a time only.
  EXPECT_THAT(w.then("SELECT nosuch FROM v", 3)[0], StartsWith("invalid_sql: "));
  EXPECT_THAT(w.then("SELECT * FROM w", 3)[0], StartsWith("no_such_view: There is no view w. Did you mean v?"));
  EXPECT_THAT(w.then("DELETE FROM v", 3)[0], StartsWith("not_read_only: "));
  EXPECT_THAT(w.then("SELECT 1", 3)[0], StartsWith("invalid_parameters: "));
  EXPECT_EQ(w.then("SELECT 1", points[2].made), Rows{"1"});
  EXPECT_EQ(w.point.number, points[2].number);
  EXPECT_THAT(w.then("EXPLAIN SELECT n FROM v WHERE k = 'a'", 3)[0], HasSubstr("v"));
}

TEST(History, ViewsOfSeveralStreamsAreAskedByTime) {
  HistoryWorld w;
  ASSERT_TRUE(w.create("t", 1));
  w.create_view();
  w.create_view("of_t", "t");
  w.add_and_keep();
  ASSERT_TRUE(w.put(*w.engine->find(in_default("t")), "p", R"({"k":"b","n":1})").ok());
  w.sim.executor.run_for(minutes(12));
  const auto points = w.points();
  ASSERT_EQ(points.size(), 2u);
  const char* both = "SELECT (SELECT count(*) FROM v), (SELECT count(*) FROM of_t)";
  EXPECT_THAT(w.then(both, 1)[0], HasSubstr("invalid_parameters: The views of_t and v are of different streams"));
  EXPECT_EQ(w.then(both, points[0].made), Rows{"1|0"});
  EXPECT_EQ(w.then(both, points[1].made), Rows{"1|1"});
}

TEST(History, NothingNewNoPointAndTheOldestGo) {
  HistoryWorld w(3);
  w.sim.executor.run_for(minutes(30));
  EXPECT_THAT(w.points(), IsEmpty()) << "there is no view";
  EXPECT_THAT(w.then("SELECT 1", w.sim.clock.wall())[0], HasSubstr("No point of the past has been kept yet"));
  w.create_view();
  w.add_and_keep();
  EXPECT_EQ(w.directories(), Rows{"1"});
  w.sim.executor.run_for(std::chrono::hours(3));
  EXPECT_EQ(w.directories(), Rows{"1"}) << "nothing has changed";
  for (int i = 0; i < 4; ++i) w.add_and_keep();
  EXPECT_EQ(w.directories(), (Rows{"3", "4", "5"}));
  EXPECT_THAT(w.then("SELECT n FROM v", 2)[0], HasSubstr("The oldest with it is number 3"));
  // A number is not used again, and fewer are kept from the next start on.
  w.history_keep = 2;
  w.reopen();
  w.caught_up("v");
  w.sim.executor.run_for(minutes(6));
  EXPECT_EQ(w.directories(), (Rows{"4", "5"}));
  w.add_and_keep();
  EXPECT_EQ(w.directories(), (Rows{"5", "6"}));
  EXPECT_EQ(w.then("SELECT n FROM v", 5), Rows{"5"});
  // Without a view nobody can ask.
  ASSERT_TRUE(std::holds_alternative<bool>(w.views->drop("v")));
  w.sim.executor.run_for(minutes(6));
  EXPECT_THAT(w.directories(), IsEmpty());
}

TEST(History, ADecisionAloneIsNew) {
  HistoryWorld w;
  w.create_view();
  w.add(R"({"k":"a","n":"many"})");
  w.add(R"({"k":"a","n":1})");
  w.caught_up("v");
  w.sim.executor.run_for(minutes(6));
  ASSERT_EQ(w.points().size(), 1u);
  DecisionRequest request{.what = DecisionRequest::What::edit, .sequence = Sequence(1)};
  request.data = R"({"k":"a","n":10})";
  ASSERT_TRUE(std::holds_alternative<DecisionResult>(w.views->decide("v", request)));
  w.sim.executor.run_for(minutes(6));
  const auto points = w.points();
  ASSERT_EQ(points.size(), 2u);
  EXPECT_EQ(w.then("SELECT total FROM v", points[0].made), Rows{"1"});
  EXPECT_EQ(w.then("SELECT total FROM v", points[1].made), Rows{"11"});
}

TEST(History, WhenItIsOffThereIsNone) {
  HistoryWorld w;
  w.create_view();
  w.add_and_keep();
  EXPECT_EQ(w.directories(), Rows{"1"});
  w.history_every = minutes(0);
  w.reopen();
  EXPECT_THAT(w.directories(), IsEmpty());
  w.caught_up("v");
  EXPECT_THAT(w.then("SELECT n FROM v", 1)[0], HasSubstr("not_supported: This server keeps no points"));
  EXPECT_EQ(w.views->history().every, std::chrono::milliseconds(0));
}

TEST(History, NoRowsUnderAnotherDefinition) {
  HistoryWorld w;
  w.create_view();
  w.add_and_keep();
  w.add_and_keep();
  const auto first = w.points().back();
  // One that is new, one that is dropped and made again, one that is altered.
  w.define("late", "SELECT k, max(n) AS n FROM s GROUP BY k");
  w.caught_up("late");
  EXPECT_THAT(
      w.then("SELECT n FROM late", first.made)[0],
      testing::AllOf(HasSubstr("history_gone: The view late, as it is defined now, is not in the points of then"),
                     HasSubstr("No point has it yet.")));
  w.add_and_keep("late");
  EXPECT_THAT(w.then("SELECT n FROM late", first.made)[0],
              testing::AllOf(HasSubstr("history_gone: The view late, as it is defined now, is not in the points of "
                                       "then: it was defined after them"),
                             HasSubstr("number 3")));
  EXPECT_EQ(w.then("SELECT n FROM late", 3), Rows{"3"});
  EXPECT_THAT(w.then("SELECT v.n FROM v JOIN late USING (k)", 2)[0], HasSubstr("The view late, as it is defined now"));

  const auto altered = w.views->define("v", "SELECT k, sum(n) * 100 AS n FROM s GROUP BY k");
  ASSERT_TRUE(std::holds_alternative<ViewChange>(altered));
  // While it is built, and when a point has a part of it, the old one is what there is.
  EXPECT_EQ(w.then("SELECT n FROM v", 2), Rows{"2"});
  w.sim.executor.run_until([&] { return w.live("SELECT n FROM v") == Rows{"600"}; });
  EXPECT_THAT(w.then("SELECT n FROM v", 3)[0], StartsWith("history_gone: "));
  w.add_and_keep();
  EXPECT_THAT(w.then("SELECT n FROM v", 3)[0],
              HasSubstr("The view v, as it is defined now, is not in the points of then: it was defined after them"));
  EXPECT_EQ(w.then("SELECT n FROM v", 4), Rows{"1000"});
  EXPECT_EQ(w.points().front().number, 3u) << "nobody can ask for anything in those before";
  EXPECT_THAT(w.points().front().views, testing::SizeIs(1)) << "of the old definition nothing is said";
  w.reopen();
  w.caught_up("v");
  EXPECT_EQ(w.then("SELECT n FROM v", 4), Rows{"1000"});
  EXPECT_THAT(w.then("SELECT n FROM v", 3)[0],
              HasSubstr("The view v, as it is defined now, is not in the points of then: it was defined after them"));
}

TEST(History, APointThatIsReadStaysUntilTheStatementEnds) {
  HistoryWorld w(1);
  w.create_view();
  for (int i = 0; i < 40; ++i) w.add(R"({"k":"k)" + std::to_string(i) + R"(","n":1})");
  w.add_and_keep();
  ASSERT_EQ(w.directories().size(), 1u);
  const std::string number = w.directories()[0];
  const Rows rows = w.live("SELECT * FROM v");
  auto cursor = w.open_at("SELECT * FROM v", w.sim.clock.wall());
  ASSERT_TRUE(cursor);
  ASSERT_TRUE(std::holds_alternative<std::span<const Row>>(cursor->next(1)));
  for (int i = 0; i < 3; ++i) w.add_and_keep();
  EXPECT_THAT(w.directories(), testing::Contains(number)) << "is still being read";
  EXPECT_EQ(w.points().size(), 1u);
  EXPECT_EQ(w.all_of(*cursor).size(), rows.size() - 1);
  cursor.reset();
  w.sim.executor.run_for(minutes(2));
  EXPECT_EQ(w.directories(), Rows{std::to_string(w.points()[0].number)});
}

TEST(History, OnlySoManyAreOpen) {
  HistoryWorld w;
  w.create_view();
  for (std::size_t i = 0; i < History::kOpenMax + 2; ++i) w.add_and_keep();
  // One after the other any number.
  for (std::uint64_t s = 1; s <= History::kOpenMax + 2; ++s)
    EXPECT_EQ(w.then("SELECT n FROM v", s), Rows{std::to_string(s)});
  std::vector<std::unique_ptr<QueryCursor>> reading;
  for (std::uint64_t s = 1; s <= History::kOpenMax; ++s) {
    reading.push_back(w.open_at("SELECT n FROM v", Sequence(s)));
    ASSERT_TRUE(reading.back()) << s << " " << w.refused.message;
  }
  EXPECT_FALSE(w.open_at("SELECT n FROM v", Sequence(History::kOpenMax + 1)));
  EXPECT_EQ(w.refused.code, "throttled");
  EXPECT_TRUE(w.open_at("SELECT n FROM v", Sequence(1))) << "one that is open";
  reading.pop_back();
  EXPECT_TRUE(w.open_at("SELECT n FROM v", Sequence(History::kOpenMax + 1))) << w.refused.message;
}

TEST(History, RowsThatGoWithTimeGoByTheTimeOfThePoint) {
  HistoryWorld w;
  w.define("goes",
           "CREATE MATERIALIZED VIEW goes WITH (ttl = '20 minutes') AS SELECT k, count(*) AS n FROM s GROUP BY k");
  w.add(R"({"k":"a"})");
  w.caught_up("goes");
  w.sim.executor.run_for(minutes(6));
  w.sim.executor.run_for(minutes(60));
  w.add(R"({"k":"b"})");
  w.caught_up("goes");
  w.sim.executor.run_for(minutes(12));
  EXPECT_EQ(w.live("SELECT k FROM goes"), Rows{"b"});
  EXPECT_EQ(w.then("SELECT k FROM goes", 1), Rows{"a"});
  EXPECT_EQ(w.then("SELECT k FROM goes", 2), Rows{"b"});
}

TEST(History, WhatACrashLeftIsRemovedAndTheRestIsRight) {
  std::atomic<std::uint64_t> worlds = 0;
  std::atomic<std::uint64_t> kept = 0;
  for_each_world(24, [&](std::uint64_t seed) {
    SCOPED_TRACE(seed);
    ++worlds;
    HistoryWorld w(4);
    w.create_view();
    for (int i = 0; i < 5; ++i) w.add_and_keep();
    // In the middle of what a check does.
    w.sim.files.cut_at_step(w.sim.files.steps() + 3 + seed * 5);
    for (int i = 0; i < 3 && w.sim.files.powered(); ++i) {
      (void)w.put(w.stream(), "p", R"({"k":"a","n":7})");
      w.sim.executor.run_for(minutes(6));
    }
    w.power_cut();
    w.open_all();
    for (const std::string& name : w.directories()) EXPECT_THAT(name, testing::MatchesRegex("[0-9]+"));
    const auto points = w.points();
    EXPECT_LE(points.size(), 5u);
    for (const KeptPoint& p : points) {
      const auto s = w.sequence_of(p, "v");
      w.caught_up("v");
      EXPECT_EQ(w.then("SELECT n FROM v", p.made), Rows{std::to_string(s)});
      ++kept;
    }
    w.add_and_keep();
    EXPECT_EQ(w.then("SELECT n FROM v", w.sim.clock.wall()), w.live("SELECT n FROM v"));
  });
  EXPECT_GT(kept, worlds * 5 / 2);
}

TEST(History, APointThatCannotBeUsedIsRemovedAtTheStart) {
  CaptureLogger log;
  HistoryWorld w(9, minutes(5), log);
  w.create_view();
  for (int i = 0; i < 4; ++i) w.add_and_keep();
  const StreamId stream = w.stream().definition().id;
  w.close_all();
  ASSERT_TRUE(w.sim.files.cut_file("/data/views.history/1/POINT", 20));
  ASSERT_TRUE(w.sim.files.remove("/data/views.history/2/POINT"));
  // Of a log that has more records: this one was put back.
  const PointContent ahead{w.sim.clock.wall(), {{1, stream, Sequence(1'000), 0}}};
  {
    const auto file = *w.sim.files.open("/data/views.history/3/POINT", OpenMode::write);
    const std::string text = encode_point(ahead);
    ASSERT_TRUE(file->truncate(0));
    ASSERT_TRUE(file->write_at(ByteOffset(0), std::as_bytes(std::span(text))));
  }
  w.open_all();
  EXPECT_EQ(w.directories(), Rows{"4"});
  EXPECT_EQ(log.count("a kept point of the views cannot be used"), 3u);
  w.caught_up("v");
  EXPECT_EQ(w.then("SELECT n FROM v", 4), Rows{"4"});
}

TEST(History, AnErrorOnTheWayIsCountedAndTriedAgain) {
  for (const DiskOp op : {DiskOp::link, DiskOp::rename, DiskOp::sync_directory, DiskOp::create, DiskOp::read}) {
    SCOPED_TRACE(static_cast<int>(op));
    HistoryWorld w;
    w.create_view();
    w.add_and_keep();
    w.sim.files.fail({.op = op, .path_contains = op == DiskOp::link ? "/data/views" : "views.history", .times = 3});
    for (int i = 0; i < 2; ++i) w.add_and_keep();
    w.sim.executor.run_for(minutes(20));
    EXPECT_GT(w.views->history().failures, 0u);
    EXPECT_THAT(w.views->history().failed, IsEmpty()) << "it went well in the end";
    EXPECT_EQ(w.then("SELECT n FROM v", 3), Rows{"3"});
    for (const std::string& name : w.directories()) EXPECT_THAT(name, testing::MatchesRegex("[0-9]+"));
  }
}

TEST(History, OnADiskThatIsNearlyFullTheOldestGo) {
  CaptureLogger log;
  HistoryWorld w(9, minutes(5), log);
  w.create_view();
  for (int i = 0; i < 3; ++i) w.add_and_keep();
  EXPECT_EQ(w.points().size(), 3u);
  const auto used = w.sim.files.used();
  w.sim.files.set_capacity(used + used / 100 + 1);
  w.sim.executor.run_for(minutes(2));
  EXPECT_THAT(w.points(), IsEmpty());
  EXPECT_GE(log.count("a kept point of the views goes"), 1u);
}

TEST(PointFormat, TheExampleOfThePage) {
  const PointContent content{WallTime(std::chrono::milliseconds(1'322'567'400'123)),
                             {{7, StreamId(3), Sequence(1234), 2}, {12, StreamId(4), Sequence(0), 0}}};
  const std::string text =
      "tidemill kept point\nmade = 1322567400123\nview = 7 3 1234 2\nview = 12 4 0 0\nchecksum = d5021089\n";
  EXPECT_EQ(encode_point(content), text);
  ASSERT_TRUE(decode_point(text));
  EXPECT_EQ(*decode_point(text), content);
  // Whatever is altered, it is none.
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string other = text;
    other[i] = static_cast<char>(other[i] ^ 1);
    EXPECT_FALSE(decode_point(other)) << i;
    EXPECT_FALSE(decode_point(text.substr(0, i))) << i;
  }
}

// Records come all the time, on real threads: in each point the views of the stream are at the same record.
TEST(HistoryThreads, PointsAreOfOneRecordWhateverIsWrittenMeanwhile) {
  ViewsWorld w;
  auto opened = Engine::open(w.real.env, w.options);
  ASSERT_TRUE(opened);
  w.engine = std::move(*opened);
  AllViews::Options options{w.engine->directory().views(), 48u << 20};
  options.history_every = std::chrono::milliseconds(1);
  options.history_keep = 1'000;
  auto made = AllViews::open(w.real.env, *w.engine, options);
  ASSERT_TRUE(made);
  w.all = std::move(*made);
  w.views = w.all->of(kDefaultTenant);
  Stream& stream = w.stream();
  for (const char* sql : {"SELECT k, count(*) AS n FROM retail GROUP BY k", "SELECT count(*) AS n FROM retail"}) {
    const auto view = w.views->create(std::string(sql).find("GROUP") == std::string::npos ? "whole" : "keys", sql);
    ASSERT_TRUE(std::holds_alternative<ViewInfo>(view));
  }
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int i = 0; !stop; ++i) {
      std::vector<std::string> batch;
      for (int j = 0; j < 20; ++j) batch.push_back(R"({"k":"k)" + std::to_string((i + j) % 50) + "\"}");
      w.put(stream, batch);
    }
  });
  std::uint64_t compared = 0;
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (compared < 12 && std::chrono::steady_clock::now() < until) {
    for (const KeptPoint& p : w.views->history().points) {
      auto cursor = w.views->query_at("SELECT (SELECT sum(n) FROM keys), (SELECT n FROM whole)", {}, {}, p.made);
      if (std::holds_alternative<SqlError>(cursor)) continue;
      const auto rows = std::get<0>(cursor)->next(10);
      ASSERT_TRUE(std::holds_alternative<std::span<const Row>>(rows)) << std::get<SqlError>(rows).message;
      const Row& row = std::get<0>(rows)[0];
      EXPECT_EQ(row[0], row[1]);
      const Sequence counted = std::get<0>(cursor)->as_of().position.sequence();
      if (counted == Sequence(0)) {  // made before the first record: neither view has a row
        EXPECT_EQ(row[1], Value());
        continue;
      }
      EXPECT_EQ(row[1], Value(static_cast<std::int64_t>(counted.value())));
      ++compared;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  stop = true;
  writer.join();
  EXPECT_GE(compared, 12u);
  EXPECT_EQ(w.views->history().failures, 0u) << w.views->history().failed;
}

}  // namespace
}  // namespace tidemill::views
