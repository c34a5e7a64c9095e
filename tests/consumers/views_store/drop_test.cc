// Views that are dropped at any moment: while they are built, while they are read, and what a failed one leaves.
#include <gmock/gmock.h>

#include <atomic>
#include <barrier>
#include <thread>

#include "consumers/views/database.h"
#include "tests/consumers/views_store/bases_world.h"
#include "tests/support/stride.h"

namespace tidemill::views {
namespace {

using testing::AnyOf;
using testing::IsEmpty;
using testing::StartsWith;

const std::string kCount = "SELECT k, count(*) AS n FROM s GROUP BY k";
const std::string kTotal = "SELECT k, sum(n) AS total FROM s GROUP BY k";
const std::string kHighest = "SELECT k, max(n) AS highest FROM s GROUP BY k";

// What became of a statement; the error's code and sentence where it was refused.
std::string say(Views& views, const std::string& sql) {
  const auto done = views.run(sql);
  if (!done) return "a question";
  if (const auto* error = std::get_if<SqlError>(&*done)) return error->code + ": " + error->message;
  static const char* const kNames[] = {"created", "exists", "unchanged", "building", "dropped", "absent"};
  return kNames[static_cast<int>(std::get<ViewChange>(std::get<StatementResult>(*done)).did)];
}

class DropWorld : public BasesWorld {
 public:
  using BasesWorld::BasesWorld;
  std::string say(const std::string& sql) { return views::say(*views, sql); }
  void steps(std::uint64_t count) {
    for (std::uint64_t i = 0; i < count && sim.executor.run_one(); ++i) {
    }
  }
  // Neither a view nor anything of one.
  void expect_nothing_left() {
    sim.executor.run_for(std::chrono::seconds(5));
    EXPECT_THAT(views->list(), IsEmpty());
    EXPECT_THAT(views->failed(), IsEmpty());
    EXPECT_THAT(engine->groups().list(), IsEmpty());
    EXPECT_THAT(families(), IsEmpty());
  }
  // As another opener finds them: those of views that are not known to anybody are removed by a start only.
  std::vector<std::string> families() {
    std::vector<std::string> names;
    EXPECT_TRUE(engine->close());
    EXPECT_TRUE(all->close());
    views.reset();
    all.reset();
    engine.reset();
    sim.executor.run_until_idle();
    sim.executor.drop_all();
    {
      const auto database = Database::open(sim.env, "/data/views", 24u << 20);
      EXPECT_TRUE(database);
      if (database) names = (*database)->names();
    }
    open_all();
    return names;
  }
};

TEST(DropView, AtAnyMomentOfABuildOrAnAlterationNothingIsLeft) {
  int dropped = 0;
  for (std::uint64_t seed = 1; seed <= 40; seed += kStride) {
    DropWorld w(seed);
    w.fill(30);
    for (int round = 0; round < 12; ++round) {
      SCOPED_TRACE(round);
      SimRandom& dice = w.sim.random;
      if (dice.next() % 3 == 0) {
        w.sim.executor.run_until_idle();  // hold() waits for what was posted
        w.builds.hold();
      }
      ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW v AS " + kCount), "created");
      if (dice.next() % 2 == 0) ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW other AS " + kTotal), "created");
      w.steps(dice.next() % 30);
      for (const std::string& next : {kTotal, kHighest}) {
        if (dice.next() % 2 == 0) continue;
        ASSERT_EQ(w.say("ALTER VIEW v AS " + next), "building");
        w.steps(dice.next() % 40);
        if (dice.next() % 3 == 0) w.builds.release();
      }
      if (dice.next() % 4 == 0) w.fill(1);
      ASSERT_EQ(w.say("DROP VIEW v"), "dropped");
      ASSERT_EQ(w.say("DROP VIEW IF EXISTS v"), "absent");
      ASSERT_THAT(w.say("DROP VIEW IF EXISTS other"), AnyOf("dropped", "absent"));
      w.builds.release();
      ++dropped;
    }
    w.expect_nothing_left();
    ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW v AS " + kCount), "created");
    EXPECT_EQ(w.rows().size(), 7u);
    if (testing::Test::HasFailure()) return;
  }
  RecordProperty("dropped", dropped);
}

// The rows of the first view of a stream have no room, while the system stream has it: nothing of that may be in the
// way of the next one, or of dropping either, once there is room again.
TEST(DropView, OneThatFoundNoRoomLeavesTheStreamReadyForTheNext) {
  DropWorld w;
  w.fill(10);
  w.sim.executor.run_until_idle();
  w.sim.files.set_capacity(w.sim.files.used() + (8 << 20));  // less than views keep free
  ASSERT_THAT(w.say("CREATE MATERIALIZED VIEW full WITH (from = 'latest') AS " + kTotal), StartsWith("not_stored"));
  EXPECT_THAT(w.engine->groups().list(), IsEmpty());
  ASSERT_EQ(w.views->failed().size(), 1u);
  EXPECT_EQ(w.views->failed()[0].name, "full");
  w.sim.files.set_capacity(1ull << 40);
  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW v AS " + kCount), "created");
  w.sim.executor.run_for(std::chrono::seconds(5));
  EXPECT_EQ(w.views->find("v")->applied.sequence(), w.log().durable());
  EXPECT_EQ(w.say("DROP VIEW v"), "dropped");
  EXPECT_EQ(w.say("DROP VIEW full"), "dropped");
  EXPECT_EQ(w.say("CREATE MATERIALIZED VIEW full AS " + kCount), "created");
  EXPECT_EQ(w.rows("full").size(), 7u);
  EXPECT_EQ(w.say("DROP VIEW full"), "dropped");
  w.expect_nothing_left();
}

// Its group has gone already where the server is being stopped.
TEST(DropView, WithoutAGroupItIsDroppedAllTheSame) {
  DropWorld w;
  w.fill(10);
  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW v AS " + kCount), "created");
  ASSERT_TRUE(w.engine->groups().remove(in_default("s:views")));
  EXPECT_EQ(w.say("DROP VIEW v"), "dropped");
  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW v AS " + kCount), "created");
  EXPECT_EQ(w.rows().size(), 7u);
  EXPECT_EQ(w.say("DROP VIEW v"), "dropped");
  w.expect_nothing_left();
}

// With real threads: others drop it too, and somebody reads and watches it.
TEST(DropView, ByTwoAtOnceWhileItIsReadAndWatchedOneDropsIt) {
  ViewsWorld w;
  w.open();
  Stream& s = w.stream("s");
  std::vector<std::string> data;
  for (int i = 0; i < 2'000; ++i)
    data.push_back("{\"k\":\"k" + std::to_string(i % 500) + "\",\"n\":" + std::to_string(i) + "}");
  for (int i = 0; i < 20; ++i) w.put(s, data);
  std::atomic<bool> ends{false};
  std::vector<std::jthread> readers;
  readers.emplace_back([&] {
    while (!ends) {
      (void)w.views->range("v", {.limit = 100});
      (void)w.views->query("SELECT count(*) FROM v", {}, {});
      (void)w.views->list();
    }
  });
  readers.emplace_back([&] {
    while (!ends) {
      const auto watch = w.views->watch("v");
      std::this_thread::yield();
    }
  });
  const std::uint64_t rounds = 60 / kStride;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    SCOPED_TRACE(round);
    const std::uint64_t dice = mix(round);
    ASSERT_EQ(say(*w.views, "CREATE MATERIALIZED VIEW v AS " + kCount), "created");
    std::this_thread::sleep_for(std::chrono::microseconds(dice % 5 * (dice / 8 % 4'000)));
    if (dice / 64 % 2 == 0) {
      ASSERT_EQ(say(*w.views, "ALTER VIEW v AS " + kTotal), "building");
      std::this_thread::sleep_for(std::chrono::microseconds(dice / 128 % 5 * (dice / 1024 % 4'000)));
    }
    std::string said[3];
    std::barrier together(3);
    {
      std::vector<std::jthread> droppers;
      for (int i = 0; i < 2; ++i) {
        droppers.emplace_back([&, i] {
          together.arrive_and_wait();
          said[i] = say(*w.views, "DROP VIEW IF EXISTS v");
        });
      }
      droppers.emplace_back([&] {
        together.arrive_and_wait();
        said[2] = say(*w.views, "ALTER VIEW IF EXISTS v AS " + kHighest);
      });
    }
    EXPECT_THAT(said[0], AnyOf("dropped", "absent"));
    EXPECT_THAT(said[1], AnyOf("dropped", "absent"));
    EXPECT_NE(said[0], said[1]);
    EXPECT_THAT(said[2], AnyOf("building", "absent"));
    EXPECT_THAT(w.views->list(), IsEmpty());
    EXPECT_THAT(w.engine->groups().list(), IsEmpty());
    if (testing::Test::HasFailure()) break;
  }
  ends = true;
  readers.clear();
  w.close();
}

}  // namespace
}  // namespace tidemill::views
