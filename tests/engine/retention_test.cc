// Retention of streams by age and size: what it removes, what keeps it from that, and what is said.
#include "engine/retention.h"

#include <gmock/gmock.h>

#include <atomic>

#include "tests/engine/engine_world.h"
#include "tests/support/capture_logger.h"

namespace tidemill {
namespace {

using std::chrono::hours;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Applies all, and makes durable what it is told to.
class HalfHearted final : public Consumer {
 public:
  Result<Position> open() override { return Position(); }
  Result<void> process(const RecordBatch& batch) override {
    for (const LostRange& range : batch.lost) lost.push_back(range);
    if (batch.next > Sequence(1)) applied_ = Position::through(Sequence(batch.next.value() - 1));
    return {};
  }
  Position applied() const override { return applied_; }
  Position persisted() const override { return std::min(applied_, until); }
  Result<void> close() override { return {}; }

  Position until;  // persisted up to here at most
  std::vector<LostRange> lost;

 private:
  Position applied_;
};

// A stream with about a segment an hour.
class RetentionWorld : public EngineWorld {
 public:
  RetentionWorld() {
    options.log.segment_bytes_first = options.log.segment_bytes_max = 32 << 10;
    open();
    EXPECT_TRUE(create("s", 1));
  }
  Stream& stream() { return *engine->find(in_default("s")); }
  Log& log() { return stream().log(); }
  void fill(int count) {
    for (int i = 0; i < count; ++i) {
      EXPECT_TRUE(put(stream(), "k", "{\"x\":\"" + std::string(6000, 'x') + "\"}").ok());
      sim.executor.run_for(std::chrono::minutes(15));
    }
  }
  void keep(StreamDefinition::Retention retention) {
    StreamDefinition d = stream().definition();
    d.retention = retention;
    ASSERT_TRUE(engine->change(d));
    check();
  }
  void check() { sim.executor.run_for(2 * Retention::kInterval); }
  std::shared_ptr<HalfHearted> group() {
    auto consumer = std::make_shared<HalfHearted>();
    EXPECT_TRUE(engine->groups().add("s:half", engine->find(in_default("s")), consumer));
    check();
    return consumer;
  }
  void begin(Retention::Keeper keeper = nullptr) {
    engine->begin_retention(std::move(keeper));
    check();
  }
  RetentionStatus status() { return engine->retention(stream()); }
};

TEST(Retention, IsOffUntilItIsAskedFor) {
  RetentionWorld w;
  w.begin();
  w.fill(60);
  EXPECT_EQ(w.log().start(), Sequence(1));
  w.keep({.size_bytes = 128 << 10});
  EXPECT_GT(w.log().start(), Sequence(1));
  EXPECT_LE(w.log().status().bytes, 128u << 10);
  EXPECT_EQ(w.status().removed_records, w.log().start().value() - 1);
}

TEST(Retention, SettingsAndStartOutliveARestart) {
  RetentionWorld w;
  w.fill(60);
  w.begin();
  w.keep({.age = hours(5), .wait_for_groups = true});
  const Sequence start = w.log().start();
  EXPECT_GT(start, Sequence(1));
  w.restart();
  EXPECT_EQ(w.log().start(), start);
  EXPECT_EQ(w.stream().definition().retention.age, hours(5));
  EXPECT_FALSE(w.stream().definition().retention.size_bytes);
  EXPECT_TRUE(w.stream().definition().retention.wait_for_groups);
}

TEST(Retention, NothingGoesBeforeTheGroupsAreThere) {
  RetentionWorld w;
  w.fill(60);
  w.keep({.age = hours(1)});
  EXPECT_EQ(w.log().start(), Sequence(1));
}

TEST(Retention, YoungRecordsStay) {
  RetentionWorld w;
  w.begin();
  w.fill(60);
  w.keep({.age = hours(5)});
  const auto young = w.log().find(w.sim.clock.wall() - hours(5));
  ASSERT_TRUE(young);
  EXPECT_GT(w.log().start(), Sequence(1));
  EXPECT_LE(w.log().start(), *young);
}

TEST(Retention, WaitsForWhatAGroupHasMadeDurableNotForWhatItHasApplied) {
  RetentionWorld w;
  const auto group = w.group();
  group->until = Position::through(Sequence(20));
  w.begin();
  w.fill(60);
  w.keep({.age = hours(5), .wait_for_groups = true});
  EXPECT_GT(w.log().start(), Sequence(1));
  EXPECT_LE(w.log().start(), Sequence(21));
  EXPECT_THAT(w.status().held, HasSubstr("s:half"));
  EXPECT_THAT(w.status().at_risk, ElementsAre("s:half"));
  EXPECT_EQ(w.status().lost_records, 0u);
  const Sequence held = w.log().start();
  group->until = Position::through(Sequence(1000));
  w.check();
  EXPECT_GT(w.log().start(), held);
  EXPECT_THAT(w.status().held, IsEmpty());
  EXPECT_THAT(w.status().at_risk, IsEmpty());
}

TEST(Retention, AGroupThatIsTooFarBehindIsWarnedOfFirstAndThenCounted) {
  RetentionWorld w;
  const auto group = w.group();
  group->until = Position::through(Sequence(1));
  w.begin();
  w.fill(22);  // the first segment ends after 75 minutes: its end is 4 hours and a quarter old
  w.keep({.age = hours(5)});
  EXPECT_EQ(w.log().start(), Sequence(1));
  EXPECT_THAT(w.status().at_risk, ElementsAre("s:half")) << "well ahead";
  w.fill(40);
  EXPECT_GT(w.log().start(), Sequence(2));
  EXPECT_EQ(w.status().lost_records, w.log().start().value() - 2);
}

// Such as an archive whose directory cannot be read. What it has made durable before is not known.
TEST(Retention, AGroupThatCannotBeOpenedIsAtRiskAndCounted) {
  struct Closed final : Consumer {
    Result<Position> open() override { return ErrorCode(EACCES, boost::system::generic_category()); }
    Result<void> process(const RecordBatch&) override { return {}; }
    Position applied() const override { return {}; }
    Position persisted() const override { return {}; }
    Result<void> close() override { return {}; }
  };
  RetentionWorld w;
  w.keep({.age = hours(5)});
  EXPECT_TRUE(w.engine->groups().add("s:closed", w.engine->find(in_default("s")), std::make_shared<Closed>(),
                                     Groups::WhenNotOpened::keep_trying));
  w.begin();
  w.fill(60);
  ASSERT_FALSE(w.engine->groups().find(in_default("s:closed"))->open);
  EXPECT_GT(w.log().start(), Sequence(1));
  EXPECT_THAT(w.status().at_risk, ElementsAre("s:closed"));
  EXPECT_EQ(w.status().lost_records, w.log().start().value() - 1);
  w.keep({.age = hours(1), .wait_for_groups = true});
  EXPECT_THAT(w.status().held, HasSubstr("s:closed, which is not open"));
}

// Such as after a start: what the limits reach had gone in the check that said so first.
TEST(Retention, AGroupThatIsBehindAtTheStartIsWarnedACheckBeforeItLoses) {
  RetentionWorld w;
  w.fill(60);
  w.keep({.age = hours(5)});
  const auto group = std::make_shared<HalfHearted>();
  EXPECT_TRUE(w.engine->groups().add("s:half", w.engine->find(in_default("s")), group));
  w.sim.executor.run_for(std::chrono::seconds(1));
  group->until = Position::through(Sequence(9));
  w.engine->begin_retention(nullptr);
  w.sim.executor.run_for(std::chrono::seconds(5));
  EXPECT_THAT(w.status().at_risk, ElementsAre("s:half"));
  EXPECT_THAT(w.status().held, HasSubstr("from record 10 on; it was warned just now"));
  EXPECT_LE(w.log().start(), Sequence(10));
  EXPECT_EQ(w.status().lost_records, 0u);
  w.check();
  EXPECT_EQ(w.status().lost_records, w.log().start().value() - 10);
  EXPECT_GT(w.status().lost_records, 10u);
  EXPECT_THAT(w.status().held, IsEmpty());
}

TEST(Retention, AGroupThatCatchesUpHasMoreTime) {
  RetentionWorld w;
  const auto group = w.group();
  group->until = Position::through(Sequence(1));
  w.fill(60);
  w.keep({.age = hours(5)});
  w.engine->begin_retention(nullptr);
  const auto move = [&] {
    group->until = Position::through(Sequence(group->until.sequence().value() + 1));
    w.sim.executor.run_for(Retention::kInterval);
  };
  for (int i = 0; i < 30; ++i) move();
  EXPECT_THAT(w.status().held, HasSubstr("is catching up"));
  EXPECT_EQ(w.status().lost_records, 0u);
  const auto position = group->until;
  for (int i = 0; i < 3; ++i) w.sim.executor.run_for(Retention::kInterval);
  EXPECT_EQ(w.status().lost_records, w.log().start().value() - position.sequence().value() - 1) << "it stands still";
  EXPECT_GT(w.status().lost_records, 0u);
}

TEST(Retention, AGroupThatNeverCatchesUpLosesRecordsInTheEnd) {
  RetentionWorld w;
  const auto group = w.group();
  group->until = Position::through(Sequence(1));
  w.fill(300);
  w.keep({.age = hours(5)});
  w.engine->begin_retention(nullptr);
  for (auto passed = std::chrono::seconds(0); passed <= Retention::kPatience; passed += Retention::kInterval) {
    EXPECT_EQ(w.status().lost_records, 0u) << passed.count() << " s";
    group->until = Position::through(Sequence(group->until.sequence().value() + 1));
    w.sim.executor.run_for(Retention::kInterval);
  }
  w.sim.executor.run_for(Retention::kInterval);
  EXPECT_GT(w.status().lost_records, 0u);
}

TEST(Retention, AGroupThatReadsTooLateIsToldWhichRecordsAreGone) {
  RetentionWorld w;
  w.begin();
  w.fill(60);
  w.keep({.age = hours(5)});
  const Sequence start = w.log().start();
  const auto group = w.group();
  ASSERT_EQ(group->lost.size(), 1u);
  EXPECT_EQ(group->lost[0].first, Sequence(1));
  EXPECT_EQ(group->lost[0].last, Sequence(start.value() - 1));
  EXPECT_EQ(group->applied(), Position::through(w.log().durable()));
}

TEST(Retention, LetsGoOfNoMoreThanViewsDo) {
  RetentionWorld w;
  w.fill(60);
  Sequence wanted;
  Sequence allowed{1};
  w.begin([&](const Stream&, Sequence target, const std::function<void(Sequence)>& drop) -> std::string {
    wanted = target;
    if (allowed > Sequence(1)) drop(std::min(allowed, target));
    return allowed < target ? "The views are not there yet." : "";
  });
  w.keep({.age = hours(5)});
  EXPECT_GT(wanted, Sequence(1));
  EXPECT_EQ(w.log().start(), Sequence(1));
  EXPECT_EQ(w.status().held, "The views are not there yet.");
  EXPECT_EQ(w.status().removed_records, 0u);
  allowed = Sequence(wanted.value() / 2);
  w.check();
  EXPECT_GT(w.log().start(), Sequence(1));
  EXPECT_LE(w.log().start(), allowed);
  EXPECT_EQ(w.status().removed_records, w.log().start().value() - 1);
  EXPECT_THAT(w.status().held, HasSubstr("not there"));
  allowed = Sequence(1'000'000);
  w.check();
  EXPECT_EQ(w.log().start(), wanted);
  EXPECT_THAT(w.status().held, IsEmpty());
}

// Their group's position is of what is applied and flushed in passing; they say by themselves what they can spare.
TEST(Retention, DoesNotWaitForTheGroupOfTheViews) {
  RetentionWorld w;
  const auto views = std::make_shared<HalfHearted>();
  views->until = Position::through(Sequence(2));
  ASSERT_TRUE(w.engine->groups().add("s:views", w.engine->find(in_default("s")), views));
  w.begin([&](const Stream&, Sequence target, const std::function<void(Sequence)>& drop) {
    drop(target);
    return std::string();
  });
  w.fill(60);
  w.keep({.age = hours(5), .wait_for_groups = true});
  EXPECT_GT(w.log().start(), Sequence(3));
  EXPECT_THAT(w.status().held, IsEmpty());
  EXPECT_THAT(w.status().at_risk, IsEmpty());
  EXPECT_EQ(w.status().lost_records, 0u);
}

TEST(Retention, AClockThatWasSetPausesAgeAndNotSize) {
  RetentionWorld w;
  w.begin();
  w.fill(60);
  w.sim.clock.jump_wall(hours(24 * 365));
  w.keep({.age = hours(24)});
  EXPECT_EQ(w.log().start(), Sequence(1));
  EXPECT_THAT(w.status().paused, HasSubstr("wall clock"));
  w.sim.clock.jump_wall(-hours(24 * 365));
  w.check();
  EXPECT_THAT(w.status().paused, IsEmpty());
  EXPECT_EQ(w.log().start(), Sequence(1));
  w.sim.clock.jump_wall(-hours(1));
  w.check();
  EXPECT_THAT(w.status().paused, HasSubstr("wall clock"));
  w.keep({.age = hours(24), .size_bytes = 128 << 10});
  EXPECT_GT(w.log().start(), Sequence(1));
}

TEST(Retention, AWallClockBeforeTheLastCommitAtStartPausesAge) {
  RetentionWorld w;
  w.fill(60);
  w.keep({.age = hours(1)});
  w.close();
  w.sim.clock.jump_wall(-hours(2));
  w.open();
  w.begin();
  EXPECT_THAT(w.status().paused, HasSubstr("last commit"));
  EXPECT_EQ(w.log().start(), Sequence(1));
  w.sim.executor.run_for(hours(3));
  EXPECT_THAT(w.status().paused, IsEmpty());
  EXPECT_GT(w.log().start(), Sequence(1));
}

}  // namespace
}  // namespace tidemill
