#include "engine/lag.h"

#include <gtest/gtest.h>

#include "storage/base/errors.h"
#include "tests/engine/fake_log.h"
#include "tests/support/sim_env.h"

namespace tidemill {
namespace {

using namespace std::chrono_literals;

// Records 1 to 5 came at the seconds 0, 10, 20, 30, 40; now it is second 50.
struct LagTest : ::testing::Test {
  SimEnv sim{1};
  std::shared_ptr<FakeLog> log = std::make_shared<FakeLog>(sim.env);

  LagTest() {
    for (int i = 0; i < 5; ++i) {
      log->put("k", "{}");
      sim.executor.run_for(10s);
    }
  }
  std::optional<double> from(std::uint64_t s) { return lag_seconds(*log, sim.clock, Sequence(s)); }
};

TEST_F(LagTest, ItIsTheAgeOfTheFirstRecordThatIsMissing) {
  EXPECT_EQ(from(1), 50);
  EXPECT_EQ(from(4), 20);
  EXPECT_EQ(from(6), 0);
  sim.executor.run_for(7s);  // nothing comes: what is missing ages, what is there does not
  EXPECT_EQ(from(5), 17);
  EXPECT_EQ(from(6), 0);
}

TEST_F(LagTest, ANewRecordCountsFromItsArrival) {
  log->put("k", "{}");
  EXPECT_EQ(from(6), 0);  // not durable yet
  sim.executor.run_for(3s);
  EXPECT_EQ(from(6), 3);
}

TEST_F(LagTest, WhatCannotComeAnyMoreIsPassedOver) {
  log->remove_before(Sequence(3));
  EXPECT_EQ(from(1), 30);
  log->lose(Sequence(3), Sequence(4));
  EXPECT_EQ(from(1), 10);
  log->lose(Sequence(5), Sequence(5));
  EXPECT_EQ(from(1), 0);
}

TEST_F(LagTest, WhatCannotBeReadIsNotCalledFresh) {
  log->fail_reads(1, StorageErrc::damaged);
  EXPECT_EQ(from(3), std::nullopt);
  EXPECT_EQ(from(3), 30);
}

TEST_F(LagTest, AClockThatWasSetBackGivesNoNegativeAge) {
  sim.clock.set_wall(WallTime{});
  EXPECT_EQ(from(5), 0);
}

}  // namespace
}  // namespace tidemill
