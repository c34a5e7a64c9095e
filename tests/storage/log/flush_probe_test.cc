#include "storage/log/flush_probe.h"

#include <gtest/gtest.h>

#include "tests/support/real_env.h"
#include "tests/support/sim_env.h"

namespace tidemill {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

struct ProbeWorld {
  ProbeWorld() { EXPECT_TRUE(sim.files.create_directory("/data")); }
  // Each flush takes the next of these times, the last one for ever.
  void flushes_take(std::vector<microseconds> times) {
    sim.files.on_step([this, times](const DiskStep& step) {
      if (step.op == DiskOp::sync_data) sim.clock.advance(times[std::min(flushed++, times.size() - 1)]);
    });
  }
  Result<FlushTime> probe() { return probe_flush(sim.files, sim.clock, "/data"); }
  SimEnv sim;
  std::size_t flushed = 0;
};

TEST(FlushProbe, SaysTheMedianAndTheLongest) {
  ProbeWorld w;
  w.flushes_take({milliseconds(2), microseconds(900), microseconds(200)});  // the first fills the file
  const auto time = w.probe();
  ASSERT_TRUE(time);
  EXPECT_EQ(time->flushes, 64u);
  EXPECT_EQ(time->median, microseconds(200));
  EXPECT_EQ(time->max, microseconds(900));
  EXPECT_FALSE(time->implausible());
}

TEST(FlushProbe, OnASlowDiskItTakesATenthOfASecondAndOneFlush) {
  ProbeWorld w;
  w.flushes_take({milliseconds(4)});
  auto time = w.probe();
  ASSERT_TRUE(time);
  EXPECT_EQ(time->flushes, 24u) << "and one for the zeros";
  w.flushes_take({std::chrono::seconds(3)});
  w.flushed = 0;
  time = w.probe();
  ASSERT_TRUE(time);
  EXPECT_EQ(time->flushes, 1u);
  EXPECT_EQ(time->median, std::chrono::seconds(3));
}

TEST(FlushProbe, ADiskThatTakesNoTimeIsNotBelieved) {
  ProbeWorld w;
  w.flushes_take({microseconds(9)});
  EXPECT_TRUE(w.probe()->implausible());
  w.flushes_take({microseconds(10)});
  EXPECT_FALSE(w.probe()->implausible());
}

TEST(FlushProbe, WritesOverBlocksThatAreThereAndFlushesEach) {
  ProbeWorld w;
  w.sim.files.clear_journal();
  ASSERT_TRUE(w.probe());
  std::uint64_t at = 0;
  bool flushed = true;
  for (const DiskStep& step : w.sim.files.journal()) {
    if (step.op == DiskOp::sync_data) flushed = true;
    if (step.op != DiskOp::write || step.length != 4096) continue;
    EXPECT_TRUE(flushed);
    EXPECT_EQ(step.offset, at);
    at += 4096;
    flushed = false;
  }
  EXPECT_EQ(at, 64u * 4096);
  EXPECT_TRUE(flushed);
}

TEST(FlushProbe, LeavesNothingBehind) {
  ProbeWorld w;
  {
    const auto left = w.sim.files.open("/data/flush.probe", OpenMode::create);  // by a crash
    ASSERT_TRUE((*left)->write_at(ByteOffset(0), std::vector<std::byte>(5000)));
  }
  EXPECT_TRUE(w.probe());
  EXPECT_TRUE(w.sim.files.all_files().empty());
  w.sim.files.fail({.op = DiskOp::sync_data, .nth = 5});
  const auto failed = w.probe();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().value(), EIO);
  EXPECT_TRUE(w.sim.files.all_files().empty());
}

TEST(FlushProbe, OfTheRealDisk) {
  RealEnv real;
  const auto time = probe_flush(real.files, real.env.clock, real.directory.path());
  ASSERT_TRUE(time) << time.error().message();
  EXPECT_GE(time->flushes, 1u);
  EXPECT_GE(time->max, time->median);
}

}  // namespace
}  // namespace tidemill
