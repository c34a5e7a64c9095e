#include "storage/log/drain_rate.h"

#include "storage/log/commit_writer.h"
#include "tests/storage/log/log_world.h"

namespace tidemill {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct RateWorld {
  // The writer is given something, and finishes it after `took`.
  void commit(std::uint64_t bytes, std::chrono::nanoseconds took) {
    rate.busy(now);
    now += took;
    rate.drained(bytes, now);
  }
  double seconds_for(std::uint64_t bytes) { return std::chrono::duration<double>(rate.time_for(bytes, now)).count(); }
  DrainRate rate;
  MonotonicTime now{seconds(1'000)};
};

TEST(DrainRate, IsWhatWasDrainedByTheTimeItTook) {
  RateWorld w;
  EXPECT_EQ(w.seconds_for(1'000'000), 0) << "nothing is known yet";
  w.commit(1'000, seconds(1));
  EXPECT_NEAR(w.seconds_for(5'000), 5, 1e-6);
  EXPECT_EQ(w.seconds_for(0), 0);
  w.commit(3'000, seconds(1));
  EXPECT_NEAR(w.seconds_for(4'000), 2, 0.1);
}

TEST(DrainRate, TimeWithNothingToDoDoesNotCount) {
  RateWorld w;
  w.commit(1'000, seconds(1));
  w.now += seconds(3'600);
  w.commit(1'000, seconds(1));
  w.rate.busy(w.now);
  EXPECT_NEAR(w.seconds_for(5'000), 5, 1e-6);
}

TEST(DrainRate, TimeBetweenCommitsOfAFullQueueCounts) {
  RateWorld w;
  w.rate.busy(w.now);
  for (int i = 0; i < 10; ++i) w.rate.drained(1'000, w.now += milliseconds(500));
  EXPECT_NEAR(w.seconds_for(2'000), 1, 1e-6);
}

TEST(DrainRate, TheRecentCountsMost) {
  RateWorld w;
  for (int i = 0; i < 1'000; ++i) w.commit(1'000'000, milliseconds(10));
  for (int i = 0; i < 120; ++i) w.commit(1'000, seconds(1));
  EXPECT_NEAR(w.seconds_for(1'000), 1, 0.1) << "two minutes ago it was 100,000 times as fast";
}

TEST(DrainRate, ACommitThatHangsSlowsItDown) {
  RateWorld w;
  w.commit(1'000, seconds(1));
  w.rate.busy(w.now);
  w.now += seconds(5);
  // Half of what was is forgotten, and five seconds brought nothing.
  EXPECT_NEAR(w.seconds_for(500), 5.5, 1e-6);
}

TEST(DrainRate, IsFiniteWhateverIsAsked) {
  RateWorld w;
  w.commit(1, seconds(1'000'000));
  EXPECT_GT(w.seconds_for(~0ull), 0);
  w.now -= seconds(2'000'000);  // a thread that looked at the clock earlier
  EXPECT_GT(w.seconds_for(~0ull), 0);
}

TEST(Log, AThrottledAppendKnowsWhenThereWillBeRoom) {
  LogWorld w;
  TestRequest& first = w.prepare(10, 200, "");
  const std::uint64_t bytes = append_bytes_bound(first.append);
  w.options.queue_bytes_max = bytes * 3 / 2;
  w.open();
  w.sim.files.on_step([&](const DiskStep& step) {
    if (step.op == DiskOp::sync_data) w.sim.clock.advance(seconds(4));
  });
  w.log->append(&first.append);
  const TestRequest& too_early = w.send(10, 200);
  EXPECT_EQ(too_early.append.error, make_error_code(StorageErrc::throttled));
  EXPECT_EQ(too_early.append.retry_after.count(), 0) << "nothing was measured yet";
  w.run();
  ASSERT_TRUE(first.ok());
  // A commit of `bytes` took four seconds. Half of as much must go before another one fits.
  const TestRequest& second = w.send(10, 200);
  EXPECT_EQ(second.answers, 0);
  const TestRequest& third = w.send(10, 200);
  EXPECT_EQ(third.append.error, make_error_code(StorageErrc::throttled));
  EXPECT_NEAR(std::chrono::duration<double>(third.append.retry_after).count(), 2, 0.01);
  // One that never fits while there is anything waits for all of it, not for more.
  const TestRequest& large = w.send(30, 200);
  EXPECT_NEAR(std::chrono::duration<double>(large.append.retry_after).count(), 4, 0.01);
  w.run();
  EXPECT_TRUE(second.ok());
}

}  // namespace
}  // namespace tidemill
