#include <gtest/gtest.h>

#include "storage/log/segment_file.h"
#include "storage/log/segment_format.h"
#include "tests/storage/log/log_world.h"
#include "tests/support/capture_logger.h"

// The position in its source that a log keeps which is made from another one.

namespace tidemill {
namespace {

class SourcePositionTest : public ::testing::Test {
 protected:
  SourcePositionTest() { w.open(); }
  static SourcePosition at(std::uint64_t through, std::uint64_t parked = 0) {
    return {Incarnation(77), Sequence(through), parked, 3};
  }
  TestRequest& append(std::size_t records, const SourcePosition& position, std::size_t bytes = 50) {
    TestRequest& r = w.prepare(records, bytes, {});
    r.append.source = position;
    w.log->append(&r.append);
    w.sim.executor.run_until([&] { return r.answers != 0; });
    return r;
  }
  void reopen() { ASSERT_TRUE(w.try_open()) << w.open_error.message(); }

  CaptureLogger logger;
  LogWorld w{1, logger};
};

TEST_F(SourcePositionTest, IsThereOnceTheCommitIs) {
  EXPECT_EQ(w.log->source(), std::nullopt);
  TestRequest& r = w.prepare(2, 50, {});
  r.append.source = at(10, 1);
  w.log->append(&r.append);
  EXPECT_EQ(w.log->source(), std::nullopt);
  w.sim.executor.run_until([&] { return r.answers != 0; });
  EXPECT_EQ(w.log->source(), at(10, 1));
  w.kill();
  reopen();
  EXPECT_EQ(w.log->source(), at(10, 1));
  w.crash();
  reopen();
  EXPECT_EQ(w.log->source(), at(10, 1)) << "in the header or the copied commit of the segment that the start made";
  w.close();
  reopen();
  EXPECT_EQ(w.log->source(), at(10, 1));
}

TEST_F(SourcePositionTest, MayStandAlone) {
  ASSERT_TRUE(append(1, at(5)).ok());
  ASSERT_TRUE(append(0, at(900)).ok());
  EXPECT_EQ(w.log->durable(), Sequence(1));
  w.kill();
  reopen();
  EXPECT_EQ(w.log->source(), at(900));
  EXPECT_EQ(w.log->durable(), Sequence(1));
  ASSERT_TRUE(append(1, at(901)).ok());
  EXPECT_EQ(w.log->durable(), Sequence(2));
}

TEST_F(SourcePositionTest, OfSeveralAppendsInACommitTheLastCounts) {
  TestRequest& first = w.prepare(1, 50, {});
  TestRequest& second = w.prepare(1, 50, {});
  first.append.source = at(7);
  second.append.source = at(8);
  w.log->append(&first.append);
  w.log->append(&second.append);
  w.sim.executor.run_until([&] { return second.answers != 0; });
  w.kill();
  reopen();
  EXPECT_EQ(w.log->source(), at(8));
}

TEST_F(SourcePositionTest, OutlivesTheSegmentsThatSaidIt) {
  for (std::uint64_t n = 1; n <= 40; ++n) ASSERT_TRUE(append(5, at(n), 1'500).ok());
  ASSERT_GT(w.log->status().segments, 3u);
  RetentionLimits limits;
  limits.bytes_max = 1;
  const auto start = w.log->retention_start(limits);
  ASSERT_TRUE(start);
  ASSERT_TRUE(w.log->drop_before(*start));
  ASSERT_GT(w.log->start(), Sequence(1));
  w.kill();
  reopen();
  EXPECT_EQ(w.log->source(), at(40));
}

TEST_F(SourcePositionTest, AFailedFlushTakesItsPositionWithIt) {
  ASSERT_TRUE(append(1, at(5)).ok());
  w.run();  // the next segment is filled
  w.sim.files.fail({.op = DiskOp::sync_data});
  TestRequest& unknown = append(1, at(6));
  EXPECT_EQ(unknown.append.error, make_error_code(StorageErrc::flush_failed));
  EXPECT_EQ(w.log->source(), at(5));
  w.crash();
  reopen();
  EXPECT_EQ(w.log->source(), at(5)) << "the segment behind it says where it ends";
}

TEST_F(SourcePositionTest, IsLostWithTheHeaderOfTheLastSegment) {
  for (std::uint64_t n = 1; n <= 40; ++n) ASSERT_TRUE(append(5, at(n), 1'500).ok());
  w.close();
  const std::string last = w.files(".seg").back();
  ASSERT_TRUE(w.sim.files.flip_bit(last, 20, 1));
  ASSERT_TRUE(w.sim.files.flip_bit(last, kBlockBytes + 20, 1));
  reopen();
  ASSERT_TRUE(w.log->source());
  EXPECT_EQ(w.log->source()->through, kSourceLost);
  w.close();
  reopen();
  EXPECT_EQ(w.log->source()->through, kSourceLost) << "it is not found again";
}

}  // namespace
}  // namespace tidemill
