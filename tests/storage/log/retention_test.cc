// The log's start: removal of whole segments, what readers are told, and what a start makes of what is left. The power
// goes at every step of it in power_cut.h.
#include <gtest/gtest.h>

#include "storage/log/start_file.h"
#include "storage/log/verify_log.h"
#include "tests/storage/log/log_world.h"
#include "tests/support/capture_logger.h"

namespace tidemill {
namespace {

class Retention : public ::testing::Test {
 protected:
  // A few segments of 32 to 128 KiB, an hour between any two commits.
  void fill(LogWorld& w, int commits) {
    for (int i = 0; i < commits; ++i) {
      ASSERT_TRUE(w.append(4, 4000).ok());
      w.sim.clock.advance(std::chrono::hours(1));
    }
    w.run();
  }
  static std::vector<Finding> verify(LogWorld& w) {
    std::vector<Finding> found;
    const auto done = verify_log(w.sim.files, w.directory, {}, [&](const Finding& f) { found.push_back(f); });
    EXPECT_TRUE(done);
    return found;
  }
};

TEST_F(Retention, WithoutLimitsNothingGoes) {
  LogWorld w;
  w.open();
  fill(w, 20);
  EXPECT_EQ(*w.log->retention_start({}), Sequence(1));
  RetentionLimits large;
  large.bytes_max = 1 << 30;
  large.older_than = w.sim.clock.wall() - std::chrono::hours(30);
  EXPECT_EQ(*w.log->retention_start(large), Sequence(1));
}

TEST_F(Retention, BySizeTheOldestSegmentsGo) {
  LogWorld w;
  w.open();
  fill(w, 60);
  RetentionLimits limits;
  limits.bytes_max = 400 << 10;
  const Sequence wanted = *w.log->retention_start(limits);
  ASSERT_GT(wanted, Sequence(1));
  const auto before = w.log->status();
  EXPECT_EQ(*w.log->drop_before(wanted), wanted);
  w.start_asked = wanted;
  const auto after = w.log->status();
  EXPECT_EQ(after.start, wanted);
  EXPECT_LE(after.bytes, *limits.bytes_max);
  EXPECT_LT(after.segments, before.segments);
  EXPECT_EQ(w.files(".seg").size(), after.segments);
  EXPECT_EQ(*w.log->retention_start(limits), wanted) << "and no more than it takes";
  w.expect_nothing_lost();
}

TEST_F(Retention, ByAgeWhatIsYoungerStays) {
  LogWorld w;
  w.open();
  fill(w, 40);
  RetentionLimits limits;
  limits.older_than = w.sim.clock.wall() - std::chrono::hours(15);
  const Sequence wanted = *w.log->retention_start(limits);
  ASSERT_GT(wanted, Sequence(1));
  const auto young = *w.log->find(*limits.older_than);
  EXPECT_LE(wanted, young);
}

TEST_F(Retention, ReadsBeforeTheStartAreToldSo) {
  LogWorld w;
  w.open();
  fill(w, 40);
  w.drop_before(Sequence(100));
  const Sequence start = w.log->start();
  ASSERT_GT(start, Sequence(1));
  EXPECT_LE(start, Sequence(100));
  EXPECT_EQ(w.log->read(Sequence(1), {}).error(), make_error_code(StorageErrc::before_start));
  EXPECT_EQ(w.log->read(Sequence(start.value() - 1), {}).error(), make_error_code(StorageErrc::before_start));
  EXPECT_TRUE(w.log->read(start, {}));
  EXPECT_EQ(*w.log->find(WallTime{}), start);
  EXPECT_TRUE(w.log->status().damage.empty());
}

TEST_F(Retention, TheSegmentThatIsWrittenStays) {
  LogWorld w;
  w.open();
  fill(w, 20);
  w.drop_before(Sequence(1'000'000));
  EXPECT_EQ(w.log->status().segments, 1u);
  ASSERT_TRUE(w.append(3).ok());
  w.expect_nothing_lost();
  w.close();
  w.open();
  EXPECT_EQ(w.log->start(), w.start_known);
  w.expect_nothing_lost();
}

TEST_F(Retention, SegmentsThatCameBackAreRemovedAtTheNextStart) {
  LogWorld w;
  w.open();
  fill(w, 40);
  w.drop_before(Sequence(100));
  const Sequence start = w.log->start();
  const auto left = w.files(".seg").size();
  // Removed names were never flushed: a cut brings them back.
  w.crash({.names = CrashPolicy::Keep::none});
  ASSERT_GT(w.files(".seg").size(), left);
  for (const Finding& f : verify(w)) EXPECT_EQ(f.grade, Finding::Grade::note) << f.text;
  w.open();
  EXPECT_EQ(w.log->start(), start);
  EXPECT_TRUE(w.log->status().damage.empty());
  for (const std::string& f : w.files(".seg"))
    EXPECT_GE(parse_segment_file_name(f.substr(f.rfind('/') + 1))->first, start) << f;
  w.expect_nothing_lost();
}

// The segment right behind the start is lost: that is damage, and not retention.
TEST_F(Retention, ALostSegmentIsDamage) {
  LogWorld w;
  w.open();
  fill(w, 60);
  w.drop_before(Sequence(60));
  const Sequence start = w.log->start();
  w.close();
  const auto names = w.files(".seg");
  const auto second = parse_segment_file_name(names[1].substr(names[1].rfind('/') + 1))->first;
  ASSERT_TRUE(w.sim.files.remove(names.front()));
  bool named = false;
  for (const Finding& f : verify(w)) named = named || (f.kind == std::string("missing") && f.first == start);
  EXPECT_TRUE(named);
  w.open();
  EXPECT_EQ(w.log->start(), start);
  const auto read = w.read_all();
  ASSERT_FALSE(read.lost.empty());
  EXPECT_EQ(read.lost.front().first, start);
  EXPECT_EQ(read.lost.front().last, Sequence(second.value() - 1));
}

// The file with the start is gone or damaged: the newest header, made at each start and roll-over, knows it too.
TEST_F(Retention, TheNewestHeaderKnowsTheStartToo) {
  LogWorld w;
  w.open();
  fill(w, 40);
  w.drop_before(Sequence(100));
  const Sequence start = w.log->start();
  w.close();
  w.open();
  w.close();
  ASSERT_TRUE(w.sim.files.remove(w.directory + "/" + std::string(kStartFileName)));
  w.open();
  EXPECT_EQ(w.log->start(), start);
  w.expect_nothing_lost();
}

TEST_F(Retention, NothingIsTouchedBeforeTheStartIsDurable) {
  LogWorld w;
  w.open();
  fill(w, 40);
  const auto files = w.files(".seg");
  w.sim.files.fail({DiskOp::sync_data, "/start", 1, 1, EIO});
  EXPECT_FALSE(w.log->drop_before(Sequence(100)));
  EXPECT_EQ(w.files(".seg"), files);
  EXPECT_EQ(w.log->start(), Sequence(1));
  EXPECT_FALSE(w.log->drop_before(Sequence(100))) << "a failed flush is not tried again";
  w.start_asked = Sequence(100);
  w.crash();
  w.open();
  w.expect_nothing_lost();
  w.drop_before(Sequence(100));
  EXPECT_GT(w.log->start(), Sequence(1));
}

// The answers of keyed requests outlive the records.
TEST_F(Retention, KeyedRequestsAreInTheSnapshotFirst) {
  LogWorld w;
  w.open();
  ASSERT_TRUE(w.append(2, 50, "early").ok());
  fill(w, 40);
  w.drop_before(Sequence(100));
  EXPECT_EQ(w.log->start(), Sequence(1)) << "held: the request is in no snapshot";
  fill(w, 1);  // a commit, and with it the snapshot
  w.drop_before(Sequence(100));
  EXPECT_GT(w.log->start(), Sequence(1));
  w.close();
  w.open();
  TestRequest& again = w.append(2, 50, "early");
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again.append.replayed);
  EXPECT_EQ(again.append.first, Sequence(1));
}

}  // namespace
}  // namespace tidemill
