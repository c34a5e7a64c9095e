#include <gtest/gtest.h>

#include "storage/log/pond.h"
#include "storage/log/request_snapshot.h"
#include "storage/log/request_window.h"
#include "tests/storage/log/log_world.h"
#include "tests/support/capture_logger.h"

namespace tidemill {
namespace {

class LogRequests : public ::testing::Test {
 protected:
  // The same request once more, as a client that got no answer sends it.
  TestRequest& retry(TestRequest& of, std::uint64_t body = 1) {
    TestRequest& r = *w.requests.emplace_back(std::make_unique<TestRequest>());
    r.append.identity = of.append.identity;
    r.append.identity->body_hash = body;
    r.append.records = of.append.records;
    w.log->append(&r.append);
    return r;
  }
  void expect_replay(TestRequest& of) {
    TestRequest& r = retry(of);
    w.run();
    ASSERT_TRUE(r.ok()) << r.append.error.message();
    EXPECT_TRUE(r.append.replayed);
    EXPECT_EQ(r.append.first, of.append.first);
    EXPECT_EQ(r.append.accepted, of.append.accepted);
    EXPECT_EQ(r.append.replayed_rejected, of.rejected);
  }
  bool known(const std::string& key) {
    TestRequest& r = *w.requests.emplace_back(std::make_unique<TestRequest>());
    r.append.identity = w.identity(key);
    w.log->append(&r.append);
    w.run();
    return r.append.replayed;
  }
  // Of which a closed log remembers the last 400. The snapshot's files.
  std::vector<std::string> snapshot_of_600_keys() {
    w.options.request_window = 400;
    w.open();
    for (int i = 0; i < 600; ++i) w.append(1, 1500, "k" + std::to_string(i));
    w.close();
    return w.files("/requests");
  }
  CaptureLogger logger;
  LogWorld w{1, logger};
};

TEST_F(LogRequests, RetryGetsTheStoredAnswer) {
  w.open();
  TestRequest& r = w.prepare(3, 50, "a");
  r.rejected = {{1, 7}, {4, 9}};
  r.append.rejected = r.rejected;
  w.log->append(&r.append);
  w.run();
  expect_replay(r);
  EXPECT_EQ(w.log->durable(), Sequence(3));
  EXPECT_EQ(w.log->metrics().replayed.value(), 1u);
  w.kill();
  w.open();
  expect_replay(r);
  w.close();
  w.crash();
  w.open();
  expect_replay(r);
  EXPECT_EQ(w.log->durable(), Sequence(3));
}

// A retry of what was answered before must not become a second record: where the start cannot read all keys, those that
// it does not know are refused until it can; all else goes on.
TEST_F(LogRequests, WhileKeysCannotBeReadUnknownOnesAreRefused) {
  w.options.segment_bytes_first = w.options.segment_bytes_max = 16 << 10;
  w.open();
  TestRequest& early = w.append(1, 50, "early");
  for (int i = 0; i < 6; ++i) w.append(1);
  TestRequest& late = w.append(1, 50, "late");
  const auto files = w.files(".seg");
  ASSERT_GT(files.size(), 2u);
  const Sequence durable = w.log->durable();
  // Its header; its commits.
  std::size_t trial = 0;
  for (const std::uint64_t nth : {1, 3}) {
    ++trial;
    w.kill();
    w.sim.files.fail({.op = DiskOp::read, .path_contains = files[0], .nth = nth, .times = 1'000'000, .error = EIO});
    w.open();
    EXPECT_EQ(logger.count("error: idempotency keys of before cannot be read back"), trial);
    EXPECT_EQ(logger.count("file=" + files[0]), trial);
    EXPECT_EQ(retry(early).append.error, make_error_code(StorageErrc::keys_unread));
    EXPECT_EQ(w.send(1, 50, "new").append.error, make_error_code(StorageErrc::keys_unread));
    expect_replay(late);
    w.append(1);                                      // without a key
    w.sim.executor.run_for(std::chrono::minutes(5));  // and again and again
    EXPECT_EQ(retry(early).append.error, make_error_code(StorageErrc::keys_unread));
    EXPECT_EQ(w.log->durable(), next(durable, trial));
    w.sim.files.clear_faults();
    w.sim.executor.run_for(std::chrono::seconds(11));
    expect_replay(early);
    expect_replay(late);
  }
  w.append(1, 50, "new");
}

// Nothing makes the gap last: no snapshot is made without them, though more is written than one waits for.
TEST_F(LogRequests, WhatOneStartCannotReadTheNextOneKnows) {
  w.options.segment_bytes_first = w.options.segment_bytes_max = 16 << 10;
  w.open();
  w.append(1, 50, "early");
  for (int i = 0; i < 6; ++i) w.append(1);
  w.kill();
  const std::string first = w.files(".seg")[0];
  w.sim.files.fail({.op = DiskOp::read, .path_contains = first, .nth = 3, .times = 1'000'000, .error = EIO});
  w.open();
  for (int i = 0; i < 40; ++i) w.append(1);
  w.sim.executor.run_for(std::chrono::seconds(1));
  w.close();
  w.sim.files.clear_faults();
  w.open();
  EXPECT_TRUE(known("early"));
}

TEST_F(LogRequests, ASnapshotThatCannotBeReadIsNotTakenForNone) {
  const auto snapshot = snapshot_of_600_keys();
  ASSERT_EQ(snapshot.size(), 1u);
  w.sim.files.fail({.op = DiskOp::open, .path_contains = snapshot[0], .nth = 1, .times = 1'000'000, .error = EMFILE});
  w.open();
  EXPECT_EQ(w.send(1, 50, "k1000").append.error, make_error_code(StorageErrc::keys_unread));
  w.sim.files.clear_faults();
  w.sim.executor.run_for(std::chrono::seconds(11));
  EXPECT_TRUE(known("k599"));
  w.append(1, 50, "k1000");
}

TEST_F(LogRequests, NothingAcceptedIsAnAnswerToo) {
  w.open();
  TestRequest& r = w.prepare(0, 0, "a");
  r.rejected = {{0, 7}};
  r.append.rejected = r.rejected;
  w.log->append(&r.append);
  w.run();
  ASSERT_TRUE(r.ok());
  EXPECT_EQ(r.append.first, Sequence(0));
  w.crash();
  w.open();
  EXPECT_EQ(w.log->durable(), Sequence(0));
  expect_replay(r);
}

TEST_F(LogRequests, AnotherBodyUnderTheSameKeyIsRefused) {
  w.open();
  TestRequest& r = w.send(1, 50, "a");
  TestRequest& in_flight = retry(r, 2);
  EXPECT_EQ(in_flight.append.error, make_error_code(StorageErrc::key_reused));
  w.run();
  TestRequest& later = retry(r, 2);
  EXPECT_EQ(later.append.error, make_error_code(StorageErrc::key_reused));
  w.crash();
  w.open();
  EXPECT_EQ(retry(r, 2).append.error, make_error_code(StorageErrc::key_reused));
}

TEST_F(LogRequests, RetryWaitsForItsOriginalInFlight) {
  w.open();
  TestRequest& r = w.send(2, 50, "a");
  TestRequest& second = retry(r);
  TestRequest& third = retry(r);
  EXPECT_EQ(second.answers, 0);
  w.run();
  EXPECT_TRUE(r.ok());
  for (const TestRequest* duplicate : {&second, &third}) {
    EXPECT_TRUE(duplicate->ok());
    EXPECT_TRUE(duplicate->append.replayed);
    EXPECT_EQ(duplicate->append.first, r.append.first);
  }
  EXPECT_EQ(w.log->durable(), Sequence(2));
}

TEST_F(LogRequests, DuplicatesShareAFailure) {
  w.open();
  w.append(1);
  w.run();
  w.sim.files.fail({.op = DiskOp::sync_data, .path_contains = "", .nth = 1, .times = 1, .error = 5});
  TestRequest& r = w.send(2, 50, "a");
  TestRequest& second = retry(r);
  w.run();
  EXPECT_EQ(r.append.error, make_error_code(StorageErrc::flush_failed));
  EXPECT_EQ(second.append.error, make_error_code(StorageErrc::flush_failed));
  EXPECT_FALSE(second.append.replayed);
}

TEST_F(LogRequests, WindowIsANumberOfKeysAndTheOldestGo) {
  w.options.request_window = 20;
  w.open();
  for (int i = 0; i < 50; ++i) w.append(1, 50, "k" + std::to_string(i));
  const auto check = [&] {
    for (int i = 30; i < 50; ++i) EXPECT_TRUE(known("k" + std::to_string(i))) << i;
  };
  check();
  w.kill();
  w.open();
  check();
  EXPECT_FALSE(known("k5"));
}

TEST_F(LogRequests, SnapshotKeepsAStartShort) {
  w.options.request_window = 1000;
  w.open();
  std::vector<TestRequest*> sent;
  for (int i = 0; i < 900; ++i) {
    TestRequest& r = w.prepare(1, 1500, "k" + std::to_string(i));
    if (i % 3 == 0) r.rejected = {{static_cast<std::uint32_t>(i), 1}};
    r.append.rejected = r.rejected;
    w.log->append(&r.append);
    w.run();
    ASSERT_TRUE(r.ok());
    sent.push_back(&r);
  }
  ASSERT_FALSE(w.files("/requests").empty());
  w.kill();
  // The segments of the first half cannot be read any more: they are not needed.
  const auto files = w.files(".seg");
  for (std::size_t i = 0; i < files.size() / 2; ++i) {
    w.sim.files.fail({.op = DiskOp::read, .path_contains = files[i], .nth = 1, .times = 1'000'000, .error = 5});
  }
  w.open();
  for (TestRequest* r : sent) expect_replay(*r);
}

TEST_F(LogRequests, LostSnapshotIsReplacedByTheLog) {
  const auto snapshot = snapshot_of_600_keys();
  ASSERT_EQ(snapshot.size(), 1u);
  ASSERT_TRUE(w.sim.files.flip_bit(snapshot[0], 3000, 1));
  w.open();
  for (int i = 200; i < 600; ++i) EXPECT_TRUE(known("k" + std::to_string(i))) << i;
  w.close();
  ASSERT_TRUE(w.sim.files.remove(snapshot[0]));
  w.open();
  for (int i = 300; i < 600; ++i) EXPECT_TRUE(known("k" + std::to_string(i))) << i;
}

TEST_F(LogRequests, KnownAnswersAreGivenWhileNothingNewIsTaken) {
  w.open();
  TestRequest& r = w.append(2, 50, "a");
  w.log->close([] {});
  w.run();
  expect_replay(r);
  EXPECT_EQ(w.send(1, 50, "b").append.error, make_error_code(StorageErrc::closed));
}

TEST_F(LogRequests, AnAppendNeedsRecordsOrAKey) {
  w.open();
  EXPECT_EQ(w.send(0).append.error, make_error_code(StorageErrc::invalid_argument));
}

}  // namespace
}  // namespace tidemill
