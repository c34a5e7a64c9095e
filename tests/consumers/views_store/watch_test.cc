// Views as they change, for who keeps a copy of their rows.
#include "consumers/views/watch.h"

#include <gmock/gmock.h>

#include "consumers/views/changes.h"
#include "consumers/views/store_keys.h"
#include "tests/consumers/views_store/bases_world.h"

namespace tidemill::views {
namespace {

using How = Watch::Begin::How;
using What = Watch::Round::What;
using testing::ElementsAre;
using testing::HasSubstr;

Position at(std::uint64_t n) {
  return Position::through(Sequence(n));
}
std::string keys(std::initializer_list<const char*> list) {
  std::string out;
  for (const char* key : list) Changes::append(out, key);
  return out;
}

TEST(Changes, WhatIsNotInTheSnapshotComesLater) {
  const auto changes = std::make_shared<Changes>();
  changes->add({at(5), 0, true}, keys({"lost"}));  // nobody watches
  EXPECT_FALSE(changes->wanted());
  const auto watching = changes->watch();
  EXPECT_EQ(changes->latest(), 0u);
  changes->add({at(10), 0, true}, keys({"b", "a"}));
  changes->add({at(20), 0, true}, keys({"b", "c"}));
  const auto ten = changes->since(0, 0, at(10));
  EXPECT_EQ(ten->to, 1u);
  EXPECT_THAT(ten->keys, ElementsAre("a", "b"));
  EXPECT_THAT(changes->since(0, 0, at(20))->keys, ElementsAre("a", "b", "c"));
  // What moves nothing is known to be seen if it was told before the snapshot, or something behind it is seen.
  changes->add({at(20), 0, false}, keys({"d"}));
  EXPECT_THAT(changes->since(2, 2, at(20))->keys, ElementsAre());
  EXPECT_THAT(changes->since(2, 3, at(20))->keys, ElementsAre("d"));
  changes->add({at(30), 0, true}, keys({"e"}));
  EXPECT_THAT(changes->since(2, 2, at(30))->keys, ElementsAre("d", "e"));
}

TEST(Changes, WhereToBeginForWhoComesBack) {
  const auto changes = std::make_shared<Changes>();
  const auto watching = changes->watch();
  EXPECT_FALSE(changes->begin(at(9)));
  changes->add({at(10), 1, true}, keys({"a"}));
  changes->add({at(10), 1, false}, keys({"late"}));
  changes->add({at(20), 2, true}, keys({"b"}));
  EXPECT_FALSE(changes->begin(at(9)));
  EXPECT_EQ(changes->begin(at(10))->after, 0u);  // the late one may not have been seen
  EXPECT_EQ(changes->begin(at(15))->after, 2u);
  EXPECT_EQ(changes->begin(at(20))->after, 2u);
  EXPECT_EQ(changes->begin(at(20))->stream_time_ms, 1);
  EXPECT_EQ(changes->begin(at(21))->after, 3u);
}

TEST(Changes, NoMoreThanItMayKeep) {
  const auto changes = std::make_shared<Changes>();
  auto watching = changes->watch();
  const std::string large(Changes::kBytesMax / 4, 'x');
  for (std::uint64_t n = 1; n <= 8; ++n) changes->add({at(n), 0, true}, keys({large.c_str()}));
  EXPECT_FALSE(changes->since(0, 8, at(8)));
  EXPECT_TRUE(changes->since(7, 8, at(8)));
  EXPECT_FALSE(changes->begin(at(2)));
  EXPECT_TRUE(changes->begin(at(8)));
  watching.reset();
  EXPECT_TRUE(changes->wanted());  // for who comes back
  changes->add({at(9), 0, true}, keys({large.c_str()}));
  EXPECT_FALSE(changes->wanted());
}

struct WatchWorld : BasesWorld {
  WatchWorld() { create_view(); }
  void add(const std::string& key, int n) {
    put(stream(), "p", R"({"k":")" + key + R"(","n":)" + std::to_string(n) + "}");
    (void)rows();
  }
  static std::vector<std::string> text(const std::vector<Watch::Touched>& touched) {
    std::vector<std::string> out;
    for (const auto& t : touched)
      out.push_back(t.row ? ViewsWorld::text(*t.row) : "-" + std::get<std::string>(t.key[0]));
    return out;
  }
  std::vector<std::string> scan(Watch& watch, Sequence after) { return text(watch.scan({}, {}, after, 1'000)->rows); }
};

TEST(Watch, ACopyAndThenWhatChanges) {
  WatchWorld w;
  w.add("a", 1);
  w.add("b", 2);
  const auto watch = w.views->watch("v");
  auto begin = *watch->begin({});
  EXPECT_EQ(begin.how, How::scan);
  EXPECT_THAT(w.scan(*watch, begin.after), ElementsAre("a|1|1|1", "b|1|2|1"));
  const std::vector<Watch::Range> all{{}};
  EXPECT_EQ(watch->round(begin.point, all, 10)->what, What::nothing);
  w.add("b", 3);
  w.add("c", 4);
  const auto round = *watch->round(begin.point, all, 10);
  EXPECT_THAT(w.text(round.rows), ElementsAre("b|2|5|2", "c|1|4|1"));
  EXPECT_EQ(round.cursor.position, at(4));
  EXPECT_EQ(watch->round(round.to, all, 10)->what, What::nothing);
  const std::vector<Watch::Range> one{watch->range_of({std::string("c")})};
  EXPECT_THAT(w.text(watch->round(begin.point, one, 10)->rows), ElementsAre("c|1|4|1"));
  const auto many = *watch->round(begin.point, all, 1);  // to be read in pieces
  EXPECT_TRUE(many.rows.empty());
  EXPECT_THAT(w.text(*watch->read(many.keys)), ElementsAre("b|2|5|2", "c|1|4|1"));
}

TEST(Watch, AllRowsOfABatch) {
  WatchWorld w;
  const auto watch = w.views->watch("v");
  const auto begin = *watch->begin({});
  for (const char* key : {"a", "b", "c"}) {  // in one commit, for nothing runs meanwhile
    auto& one = w.records.emplace_back(
        std::make_unique<OneRecord>("p", R"({"k":")" + std::string(key) + R"(","n":1})", w.sim.clock.wall()));
    w.stream().log().append(&one->append);
  }
  w.sim.executor.run_until([&] { return w.records.back()->answered; });
  (void)w.rows();
  const std::vector<Watch::Range> all{{}};
  EXPECT_THAT(w.text(watch->round(begin.point, all, 10)->rows), ElementsAre("a|1|1|1", "b|1|1|1", "c|1|1|1"));
}

TEST(Watch, AnotherProcessFindsWhatIsLater) {
  WatchWorld w;
  for (int n = 1; n <= 3; ++n) w.add("k" + std::to_string(n), n);
  const auto cursor = w.views->watch("v")->begin({})->cursor;
  EXPECT_EQ(w.views->watch("v")->begin(cursor)->how, How::follow);  // nothing is later
  w.add("k2", 7);
  w.reopen();
  (void)w.rows();
  const auto watch = w.views->watch("v");
  const auto begin = *watch->begin(cursor);
  EXPECT_EQ(begin.how, How::scan);
  EXPECT_THAT(w.scan(*watch, begin.after), ElementsAre("k2|2|9|2"));
  auto ahead = cursor;
  ahead.position = at(99);
  EXPECT_EQ(watch->begin(ahead)->how, How::wait);
  auto late = cursor;
  late.settled = 1;
  EXPECT_EQ(watch->begin(late)->how, How::refetch);
  auto other = cursor;
  ++other.view;
  EXPECT_EQ(watch->begin(other)->how, How::refetch);
  EXPECT_FALSE(watch->over());
  int told = 0;
  const auto listening = watch->listen([&] { ++told; });
  const auto dropped = w.views->drop("v");
  ASSERT_TRUE(std::holds_alternative<bool>(dropped) && std::get<bool>(dropped));
  EXPECT_GT(told, 0);
  EXPECT_TRUE(watch->over());
  EXPECT_EQ(w.views->watch("v"), nullptr);
}

TEST(Watch, RowsThatGoWithTime) {
  WatchWorld w;
  const auto made =
      w.views->run("CREATE MATERIALIZED VIEW e WITH (ttl = '80 minutes') AS SELECT k, count(*) AS n FROM s GROUP BY k");
  ASSERT_TRUE(made && std::holds_alternative<StatementResult>(*made));
  w.fill(7);  // one every 15 minutes: k1 to k6, then k0
  (void)w.rows("e");
  auto watch = w.views->watch("e");
  const auto begin = *watch->begin({});
  EXPECT_THAT(w.scan(*watch, begin.after), ElementsAre("k0|1", "k2|1", "k3|1", "k4|1", "k5|1", "k6|1"));
  w.fill(1);
  (void)w.rows("e");
  const std::vector<Watch::Range> all{{}};
  EXPECT_THAT(w.text(watch->round(begin.point, all, 10)->rows), ElementsAre("k1|1", "-k2"));
  watch.reset();
  w.reopen();
  (void)w.rows("e");
  const auto anew = w.views->watch("e")->begin(begin.cursor);
  EXPECT_EQ(anew->how, How::refetch);
  EXPECT_THAT(anew->reason, HasSubstr("go with time"));
}

}  // namespace
}  // namespace tidemill::views
