// Rows and their checkpoint over power cuts, failing calls and a full disk, in RocksDB on the simulated disk.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "storage/base/errors.h"
#include "storage/seam/file_system.h"
#include "tests/consumers/views_store/store_world.h"
#include "tests/support/capture_logger.h"
#include "tests/support/stride.h"

namespace tidemill::views {
namespace {

constexpr std::uint32_t kFlushEvery = 3;
static_assert(StoreWorld::kBatches % kFlushEvery == 0);

// Applies what is missing, flushing now and then. False when a call failed: the power is gone. `flushed`: batches that
// a flush has answered for.
bool live(StoreWorld& world, std::uint32_t& flushed) {
  if (world.open()) return false;
  while (world.done() < StoreWorld::kBatches) {
    if (!world.apply_next()) return false;
    if (world.done() % kFlushEvery == 0) {
      if (!world.flush()) return false;
      flushed = world.done();
    }
  }
  world.close();
  return world.sim.files.powered();
}

void expect_one_moment(const StoreWorld& world, std::uint32_t flushed) {
  const std::uint32_t done = world.done();
  EXPECT_GE(done, flushed) << "what was flushed is gone";
  ASSERT_EQ(world.upkeep->checkpoint().position.sequence().value(), done * StoreWorld::kBatch);
  ASSERT_EQ(world.bytes(), StoreWorld::expected(world.rows)[done])
      << "rows and checkpoint are apart, after batch " << done;
}

std::uint64_t steps_of_a_life(StoreWorld::Rows rows = StoreWorld::Rows::stay) {
  StoreWorld world(7, null_logger(), rows);
  std::uint32_t flushed = 0;
  EXPECT_TRUE(live(world, flushed));
  return world.sim.files.steps();
}

struct Cuts {
  std::atomic<std::uint32_t> fell_back = 0;
  std::atomic<std::uint32_t> anew = 0;
};

// The power goes at step `cut`, then twice soon after the next start began; then a life to the end.
void cut_at(std::uint64_t cut, const CrashPolicy& policy, Cuts& cuts, StoreWorld::Rows rows = StoreWorld::Rows::stay) {
  CaptureLogger log;
  StoreWorld world(cut, log, rows);
  world.sim.files.cut_at_step(cut);
  std::uint32_t flushed = 0;
  for (int life = 0; life < 3; ++life) {
    if (life > 0) world.sim.files.cut_at_step(world.sim.files.steps() + 1 + (cut * 7 + life) % 23);
    (void)live(world, flushed);
    world.sim.power_off();
    world.close();
    world.sim.crash(policy);
    const std::string where = "cut " + std::to_string(cut) + ", life " + std::to_string(life);
    ASSERT_FALSE(world.open(true)) << where;
    if (log.count("built again from the log") > 0) {
      ++cuts.anew;
      ASSERT_EQ(world.done(), 0u) << where;
      return;
    }
    ASSERT_NO_FATAL_FAILURE(expect_one_moment(world, flushed)) << where;
    cuts.fell_back += world.done() < StoreWorld::kBatches ? 1 : 0;
    world.close();
  }
  ASSERT_TRUE(live(world, flushed)) << "cut " << cut;
  ASSERT_FALSE(world.open());
  ASSERT_EQ(world.bytes(), StoreWorld::expected(world.rows).back()) << "cut " << cut;
}

TEST(StoreCrash, RowsAndCheckpointAreOfOneMomentAfterAPowerCut) {
  const std::uint64_t steps = steps_of_a_life();
  ASSERT_GT(steps, 100u);
  using Keep = CrashPolicy::Keep;
  // What RocksDB asks of a file system: a file that grew has its bytes. Names may do what they like.
  Cuts orderly;
  for_each_world(steps, [&](std::uint64_t cut) {
    cut_at(cut, {.writes = cut % 2 == 0 ? Keep::none : Keep::all, .names = Keep::any}, orderly);
  });
  EXPECT_EQ(orderly.anew, 0u);
  EXPECT_GT(orderly.fell_back, steps / kStride);
  // Anything goes. RocksDB calls a torn end of its manifest damage: then the views begin anew.
  Cuts any;
  for_each_world(steps, [&](std::uint64_t cut) { cut_at(cut, {}, any); });
  EXPECT_LT(any.anew, steps / kStride / 5);
  EXPECT_GT(any.fell_back, steps / kStride);
}

// What goes with time goes in the same write: a row, what is below it and its entry in the index are there or gone
// together, and none comes back.
TEST(StoreCrash, RowsThatGoWithTimeAreOfOneMomentAfterAPowerCut) {
  const auto& lives = StoreWorld::expected(StoreWorld::Rows::go);
  const auto last = decode_checkpoint(lives.back().at(std::string(kCheckpointKey)));
  ASSERT_TRUE(last && last->expiry);
  ASSERT_GT(last->expiry->expired, 50u) << "nothing goes";
  const std::uint64_t steps = steps_of_a_life(StoreWorld::Rows::go);
  ASSERT_GT(steps, 100u);
  using Keep = CrashPolicy::Keep;
  Cuts cuts;
  for_each_world(steps, [&](std::uint64_t cut) {
    cut_at(cut, {.writes = cut % 2 == 0 ? Keep::none : Keep::all, .names = Keep::any}, cuts, StoreWorld::Rows::go);
  });
  EXPECT_EQ(cuts.anew, 0u);
  EXPECT_GT(cuts.fell_back, steps / kStride);
}

enum class Then { tries_again, opens_again };

// On a full disk whoever feeds the view tries again until it works, as its group does. RocksDB's recovery has a thread
// of its own: where there is room again, the next call may still come too early.
template <class Call>
void insist(StoreWorld& world, Then then, Call call) {
  for (int failures = 0;; ++failures) {
    const std::uint32_t before = world.done();
    if (call()) return;
    ASSERT_EQ(world.done(), before);
    ASSERT_EQ(world.bytes(), StoreWorld::expected(world.rows)[before]) << "readers see the rows meanwhile";
    if (then == Then::opens_again) {
      ASSERT_LT(failures, 1);  // the fault strikes once
      ASSERT_FALSE(world.open());
      continue;
    }
    ASSERT_LT(failures, 3'000);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

// Each call that changes the disk fails in its turn. After other errors than a full disk the store is opened again, as
// at the next start.
void fail_at(std::uint64_t nth, int error, Then then, std::atomic<std::uint64_t>& hit) {
  StoreWorld world(nth);
  world.sim.files.fail({.op = DiskOp::change, .path_contains = "views", .nth = nth, .error = error});
  if (world.open()) {
    ASSERT_FALSE(world.open()) << "call " << nth;
  }
  while (world.done() < StoreWorld::kBatches) {
    ASSERT_NO_FATAL_FAILURE(insist(world, then, [&] { return world.apply_next(); })) << "call " << nth;
    if (world.done() % kFlushEvery != 0) continue;
    ASSERT_NO_FATAL_FAILURE(insist(world, then, [&] { return world.flush(); })) << "call " << nth;  // may fall back
  }
  hit += world.sim.files.faults_hit();
  world.sim.files.clear_faults();
  // What was flushed is there after a cut, whatever failed on the way.
  world.sim.power_off();
  world.close();
  world.sim.crash({.writes = CrashPolicy::Keep::none});
  ASSERT_FALSE(world.open()) << "call " << nth;
  ASSERT_EQ(world.bytes(), StoreWorld::expected(world.rows).back()) << "call " << nth;
}

TEST(StoreCrash, AfterAnErrorTheStoreIsOpenedAgainAndGoesOn) {
  const std::uint64_t steps = steps_of_a_life();
  std::atomic<std::uint64_t> hit = 0;
  for_each_world(steps, [&](std::uint64_t nth) { fail_at(nth, EIO, Then::opens_again, hit); });
  EXPECT_GT(hit, steps / kStride / 2);
}

TEST(StoreCrash, FromNoSpaceTheStoreRecoversByItself) {
  const std::uint64_t steps = steps_of_a_life();
  std::atomic<std::uint64_t> hit = 0;
  for_each_world(steps / 2, [&](std::uint64_t n) { fail_at(n * 2, ENOSPC, Then::tries_again, hit); });
  EXPECT_GT(hit, steps / kStride / 4);
}

TEST(StoreCrash, AFullDiskIsSaidAndForgottenWhenThereIsRoom) {
  StoreWorld world(5);
  ASSERT_FALSE(world.open());
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(world.apply_next());
  for (const std::uint64_t left : {0u, 1u, 100u, 1000u, 3000u, 10000u}) {
    world.sim.files.set_capacity(world.sim.files.used() + left);
    const Result<void> applied = world.apply_next();
    const Result<void> flushed = world.flush();
    ASSERT_FALSE(applied && flushed);
    EXPECT_EQ(flushed.error(), ErrorCode(ENOSPC, boost::system::generic_category()));
    EXPECT_EQ(world.bytes(), StoreWorld::expected(world.rows)[world.done()]) << "readers see the rows meanwhile";
    world.sim.files.set_capacity(1ull << 40);
    if (!applied) ASSERT_NO_FATAL_FAILURE(insist(world, Then::tries_again, [&] { return world.apply_next(); }));
    ASSERT_NO_FATAL_FAILURE(insist(world, Then::tries_again, [&] { return world.flush(); }));
    EXPECT_EQ(world.bytes(), StoreWorld::expected(world.rows)[world.done()]);
  }
}

// A view that is behind the others is fed from before its checkpoint.
TEST(StoreCrash, RecordsThatAreInAlreadyAreNotAppliedAgain) {
  StoreWorld world(6);
  ASSERT_FALSE(world.open());
  constexpr std::uint32_t n = StoreWorld::kBatch;
  ASSERT_TRUE(world.apply(1, n));
  ASSERT_TRUE(world.apply(1, n));          // all of it again
  ASSERT_TRUE(world.apply(5, n));          // beyond it by four
  ASSERT_TRUE(world.apply(1, 2 * n + 3));  // and once more, up to where no batch ends
  ASSERT_TRUE(world.apply(2 * n, n + 1));
  EXPECT_EQ(world.bytes(), StoreWorld::expected(world.rows)[3]);
}

TEST(StoreOpen, WhatCannotBeReadIsNoNewDatabase) {
  StoreWorld world(3);
  std::uint32_t flushed = 0;
  ASSERT_TRUE(live(world, flushed));
  for (std::uint64_t nth = 1;; ++nth) {
    world.sim.files.fail(
        {.op = static_cast<DiskOp>(static_cast<unsigned>(DiskOp::open) | static_cast<unsigned>(DiskOp::read) |
                                   static_cast<unsigned>(DiskOp::list)),
         .path_contains = "views",
         .nth = nth});
    const std::uint64_t hits = world.sim.files.faults_hit();
    const ErrorCode error = world.open();
    world.sim.files.clear_faults();
    if (world.sim.files.faults_hit() == hits) break;
    if (!error) {
      EXPECT_EQ(world.bytes(), StoreWorld::expected(world.rows).back()) << "call " << nth;
    }
    ASSERT_FALSE(world.open()) << "call " << nth;
    ASSERT_EQ(world.bytes(), StoreWorld::expected(world.rows).back()) << "call " << nth;
    ASSERT_LT(nth, 1000u);
  }
}

TEST(StoreOpen, DamageIsCalledDamageAndSetAside) {
  for (const char* name : {"CURRENT", "MANIFEST", ".sst"}) {
    CaptureLogger log;
    StoreWorld world(4, log);
    std::uint32_t flushed = 0;
    ASSERT_TRUE(live(world, flushed));
    bool found = false;
    for (const auto& path : world.sim.files.all_files()) {
      if (path.find(name) == std::string::npos) continue;
      found = true;
      ASSERT_TRUE(world.sim.files.cut_file(path, 10));
    }
    ASSERT_TRUE(found);
    EXPECT_EQ(world.open(), make_error_code(StorageErrc::damaged)) << name;
    ASSERT_FALSE(world.open(true)) << name;
    EXPECT_EQ(log.count("kept=views.damaged"), 1u);
    EXPECT_EQ(world.done(), 0u);
    EXPECT_TRUE(exists(world.sim.files, "/data/views.damaged/LOCK"));
    ASSERT_TRUE(live(world, flushed));
    ASSERT_FALSE(world.open());
    EXPECT_EQ(world.bytes(), StoreWorld::expected(world.rows).back());
  }
}

}  // namespace
}  // namespace tidemill::views
