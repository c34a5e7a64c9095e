// One call to the disk fails, each in its turn, once, three times or from then on. A failed sync loses what it should
// have saved although later syncs succeed; a failed write leaves any part of its bytes.
//
// Checked: no acknowledgement without its flush; "unknown" only after a flush (or a write over flushed bytes) failed;
// what was refused for sure never appears; a full disk refuses and recovers by itself; and all that LogTrial checks.
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/storage/log/log_trial.h"

namespace tidemill {
namespace {

struct Fault {
  DiskOp op;
  int error;
  std::uint64_t times;
};

class LogFault : public ::testing::TestWithParam<Fault> {};

// False when the workload made fewer such calls than `nth`.
bool run_fault(std::uint64_t seed, const Fault& fault, std::uint64_t nth) {
  LogTrial trial(seed);
  LogWorld& w = trial.world();
  DiskFault f;
  f.op = fault.op;
  f.nth = nth;
  f.times = fault.times;
  f.error = fault.error;
  w.sim.files.fail(f);
  w.reads_may_fail = true;
  for (int tries = 0; tries < 5 && !w.log; ++tries) w.try_open();  // refusing to open is right too
  if (w.log) {
    trial.work(20);
    w.run();
    w.settle_requests();
  }
  const bool hit = w.sim.files.faults_hit() != 0;
  w.sim.files.clear_faults();
  w.reads_may_fail = false;
  if (w.log) {
    // Readers see no more than what is safe, also now.
    w.sim.files.drop_caches();
    trial.look();
    if (w.log->status().accepting) {
      EXPECT_TRUE(w.append(1).ok()) << "does not recover by itself";
    } else {
      EXPECT_NE(fault.error, ENOSPC);
      EXPECT_EQ(w.append(1).append.error, make_error_code(StorageErrc::not_accepting));
    }
    for (const auto& r : w.requests) EXPECT_EQ(r->answers, 1);
  }
  w.crash();
  EXPECT_TRUE(w.try_open()) << w.open_error.message();
  if (w.log) trial.check();
  return hit;
}

TEST_P(LogFault, AtEachCall) {
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    for (std::uint64_t nth = 1; !HasFailure(); ++nth) {
      SCOPED_TRACE("seed " + std::to_string(seed) + ", call " + std::to_string(nth));
      if (!run_fault(seed, GetParam(), nth)) break;
    }
  }
}

constexpr std::uint64_t kForever = 1'000'000;
INSTANTIATE_TEST_SUITE_P(All, LogFault,
                         ::testing::Values(Fault{DiskOp::sync_data, EIO, 1}, Fault{DiskOp::sync_data, EIO, 3},
                                           Fault{DiskOp::sync_data, EIO, kForever}, Fault{DiskOp::write, EIO, 1},
                                           Fault{DiskOp::write, EIO, 3}, Fault{DiskOp::write, EIO, kForever},
                                           Fault{DiskOp::write, ENOSPC, 1}, Fault{DiskOp::write, ENOSPC, 4},
                                           Fault{DiskOp::create, ENOSPC, 3}, Fault{DiskOp::create, EIO, 1},
                                           Fault{DiskOp::rename, EIO, 1}, Fault{DiskOp::rename, ENOSPC, 2},
                                           Fault{DiskOp::sync_directory, EIO, 1}, Fault{DiskOp::sync_directory, EIO, 2},
                                           Fault{DiskOp::remove, EIO, 2}, Fault{DiskOp::truncate, EIO, 1},
                                           Fault{DiskOp::read, EIO, 1}, Fault{DiskOp::read, EIO, 2},
                                           Fault{DiskOp::open, EMFILE, 1}, Fault{DiskOp::list, EIO, 1}));

TEST(LogFaults, FullDiskRefusesAndRecoversByItself) {
  LogWorld w;
  w.open();
  w.sim.files.set_capacity(200 << 10);
  int refused = 0;
  for (int i = 0; i < 200; ++i) {
    const TestRequest& r = w.append(3, 500);
    if (r.ok()) continue;
    ++refused;
    EXPECT_EQ(r.append.error.value(), ENOSPC);
  }
  EXPECT_GT(refused, 10);
  EXPECT_TRUE(w.log->status().accepting);
  w.expect_nothing_lost();
  w.sim.files.set_capacity(10 << 20);
  EXPECT_TRUE(w.append(3, 500).ok());
  w.crash();
  w.open();
  w.expect_nothing_lost();
}

TEST(LogFaults, FullDiskAtStartServesAndRecoversByItself) {
  LogWorld w;
  w.open();
  for (int i = 0; i < 20; ++i) w.append(3, 500);
  w.kill();
  w.sim.files.set_capacity(w.sim.files.used() + (30 << 10));
  w.open();
  w.expect_nothing_lost();
  int refused = 0;
  for (int i = 0; i < 20; ++i) refused += w.append(8, 2000).append.error.value() == ENOSPC ? 1 : 0;
  EXPECT_GT(refused, 0);
  w.sim.files.set_capacity(10 << 20);
  EXPECT_TRUE(w.append(8, 2000).ok());
  w.expect_nothing_lost();
}

TEST(LogFaults, FailedFlushIsUnknownAndSealedByANewSegment) {
  LogWorld w;
  w.open();
  w.append(2);
  w.run();
  const Epoch before = w.log->status().epoch;
  w.sim.files.fail({.op = DiskOp::sync_data, .path_contains = "", .nth = 1, .times = 1, .error = EIO});
  const TestRequest& unknown = w.append(3);
  EXPECT_EQ(unknown.append.error, make_error_code(StorageErrc::flush_failed));
  EXPECT_EQ(w.log->durable(), Sequence(2));
  EXPECT_GT(w.log->status().epoch, before);
  EXPECT_EQ(w.log->end_of(before), Sequence(2));
  const TestRequest& after = w.append(1);
  EXPECT_TRUE(after.ok());
  EXPECT_EQ(after.append.first, Sequence(3));  // dense: nobody ever saw the others
  w.crash();
  w.open();
  w.expect_nothing_lost();
  EXPECT_EQ(w.log->durable(), Sequence(3));
}

TEST(LogFaults, RetryOfAnUnknownOutcomeIsDoneOnce) {
  LogWorld w;
  w.open();
  w.append(2);
  w.run();
  w.sim.files.fail({.op = DiskOp::sync_data, .path_contains = "", .nth = 1, .times = 1, .error = EIO});
  TestRequest& unknown = w.append(3, 50, "key");
  EXPECT_EQ(unknown.append.error, make_error_code(StorageErrc::flush_failed));
  TestRequest again;
  again.append.identity = unknown.append.identity;
  again.append.records = unknown.append.records;
  w.log->append(&again.append);
  w.run();
  EXPECT_TRUE(again.ok());
  EXPECT_FALSE(again.append.replayed);
  w.crash();
  w.open();
  EXPECT_EQ(w.log->durable(), Sequence(5));
}

TEST(LogFaults, SealThatFailsTooEndsAccepting) {
  LogWorld w;
  w.open();
  w.append(2);
  w.run();
  w.sim.files.fail({.op = DiskOp::sync_data, .path_contains = "", .nth = 1, .times = 100, .error = EIO});
  const TestRequest& first = w.send(1);
  w.run();
  const TestRequest& second = w.append(1);
  EXPECT_EQ(first.append.error, make_error_code(StorageErrc::flush_failed));
  EXPECT_EQ(second.append.error, make_error_code(StorageErrc::not_accepting));
  EXPECT_FALSE(w.log->status().accepting);
  w.expect_nothing_lost();  // it goes on serving
  w.sim.files.clear_faults();
  w.crash();
  w.open();
  EXPECT_TRUE(w.log->status().accepting);
  w.expect_nothing_lost();
}

}  // namespace
}  // namespace tidemill
