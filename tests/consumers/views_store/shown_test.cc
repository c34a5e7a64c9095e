// What readers have seen of a view they do not see older, after whatever kind of stop.
#include "tests/consumers/views_store/bases_world.h"

namespace tidemill::views {
namespace {

TEST(Shown, AfterACrashNobodyReadsUntilItIsThereAgain) {
  BasesWorld w;
  w.create_view();
  w.fill(10);
  ASSERT_EQ(w.rows(), BasesWorld::expected(1, 10));
  w.reopen();  // its rows are on disk, and a note of how far it was shown
  ASSERT_TRUE(w.views->find("v")->ready);
  const auto at_rest = w.views->find("v")->applied;
  ASSERT_TRUE(w.put(w.stream(), "k", R"({"k":"k4","n":11})").ok());
  w.sim.executor.run_until([&] { return w.views->find("v")->applied != at_rest; });  // seen; not a moment more

  for (int cut = 0; cut < 2; ++cut) {
    w.power_cut({.writes = CrashPolicy::Keep::none});
    w.open_all();
    ASSERT_EQ(w.views->find("v")->applied, at_rest) << "the cut took nothing";
    EXPECT_FALSE(w.views->find("v")->ready) << "cut " << cut;
    EXPECT_FALSE(w.views->ready());
  }
  w.sim.executor.run_until([&] { return w.views->ready(); });
  EXPECT_EQ(w.rows(), BasesWorld::expected(1, 11));
}

// Or the end of a log that grew would have to be reached first.
TEST(Shown, AfterAStopOnlyWhatWasShownIsWaitedFor) {
  BasesWorld w;
  w.create_view();
  w.fill(10);
  ASSERT_EQ(w.rows(), BasesWorld::expected(1, 10));
  w.close_all();
  w.open();  // without its views
  w.fill(5);
  ASSERT_TRUE(w.engine->close());
  w.engine.reset();
  w.open_all();
  EXPECT_TRUE(w.views->find("v")->ready);
  EXPECT_EQ(w.views->find("v")->applied, Position::through(Sequence(10)));
  EXPECT_EQ(w.rows(), BasesWorld::expected(1, 15));
}

}  // namespace
}  // namespace tidemill::views
