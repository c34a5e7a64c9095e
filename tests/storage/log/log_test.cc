#include <gtest/gtest.h>

#include "tests/storage/log/log_world.h"

namespace tidemill {
namespace {

TEST(Log, FirstRecordIsOne) {
  LogWorld w;
  w.open();
  EXPECT_EQ(w.log->durable(), Sequence(0));
  EXPECT_EQ(w.log->start(), Sequence(1));
  const TestRequest& r = w.append(3);
  EXPECT_TRUE(r.ok());
  EXPECT_EQ(r.append.first, Sequence(1));
  EXPECT_EQ(r.append.accepted, 3u);
  EXPECT_EQ(w.log->durable(), Sequence(3));
  w.expect_nothing_lost();
}

TEST(Log, NothingIsVisibleBeforeItsFlush) {
  LogWorld w;
  w.open();
  bool seen_flush = false;
  w.sim.files.on_step([&](const DiskStep& step) {
    if (step.op != DiskOp::sync_data) return;
    seen_flush = true;
    EXPECT_EQ(w.log->durable(), Sequence(0));
    EXPECT_TRUE(w.log->read(Sequence(1), {})->records.empty());
  });
  const TestRequest& r = w.append(1);
  w.sim.files.on_step({});
  EXPECT_TRUE(r.ok());
  EXPECT_TRUE(seen_flush);
  EXPECT_EQ(w.log->durable(), Sequence(1));
}

TEST(Log, WhatQueuesDuringAFlushBecomesOneCommit) {
  LogWorld w;
  w.open();
  for (int i = 0; i < 50; ++i) w.send(1);
  w.run();
  EXPECT_EQ(w.log->metrics().commits.value(), 1u);
  EXPECT_EQ(w.log->durable(), Sequence(50));
  w.settle_requests();
  w.expect_nothing_lost();
}

TEST(Log, RequestLargerThanASegmentMakesALargerSegment) {
  LogWorld w;
  w.options.queue_bytes_max = 8 << 20;
  w.open();
  w.append(2);
  EXPECT_TRUE(w.append(1000, 2000).ok());
  EXPECT_TRUE(w.append(2).ok());
  w.expect_nothing_lost();
  w.kill();
  w.open();
  w.expect_nothing_lost();
}

TEST(Log, RollsOverAndReadsAcrossSegments) {
  LogWorld w;
  w.open();
  for (int i = 0; i < 300; ++i) w.append(1 + i % 9, 100 + (i % 5) * 300);
  EXPECT_GT(w.log->status().segments, 4u);
  w.expect_nothing_lost();
  w.sim.executor.run_for(std::chrono::seconds(1));
  w.expect_nothing_lost();  // now by the index files
  w.kill();
  w.open();
  w.expect_nothing_lost();
  ReadOptions small;
  small.records_max = 7;
  EXPECT_TRUE(w.read_all(small).records == w.acknowledged);
  small.bytes_max = 1;
  EXPECT_TRUE(w.read_all(small).records == w.acknowledged);
}

TEST(Log, RangeOfHashesGetsItsRecordsOnly) {
  LogWorld w;
  w.open();
  for (int i = 0; i < 40; ++i) w.append(100, 300);
  for (int part = 0; part < 4; ++part) {
    ReadOptions options;
    options.range.first = {static_cast<std::uint64_t>(part) << 62, 0};
    options.range.last = {(static_cast<std::uint64_t>(part) << 62) | (~0ull >> 2), ~0ull};
    std::map<std::uint64_t, std::string> expected;
    for (const auto& r : w.requests) {
      for (std::size_t i = 0; i < r->records.size(); ++i) {
        if (options.range.contains(r->records[i].hash)) expected[r->append.first.value() + i] = r->texts[i];
      }
    }
    EXPECT_TRUE(w.read_all(options).records == expected);
  }
}

TEST(Log, CachedOnlyNeverTouchesTheDisk) {
  LogWorld w;
  w.open();
  for (int i = 0; i < 60; ++i) w.append(5, 200);
  ReadOptions cached;
  cached.cached_only = true;
  const auto old = w.log->read(Sequence(1), cached);
  ASSERT_TRUE(old);
  EXPECT_TRUE(old->records.empty());
  EXPECT_EQ(old->next, Sequence(1));
  const auto tail = w.log->read(w.log->durable(), cached);
  ASSERT_TRUE(tail);
  ASSERT_EQ(tail->records.size(), 1u);
  EXPECT_EQ(tail->records[0].data, w.acknowledged.rbegin()->second);
}

TEST(Log, ReadSaysWhereItCannot) {
  LogWorld w;
  w.open();
  w.append(3);
  EXPECT_EQ(w.log->read(Sequence(0), {}).error(), make_error_code(StorageErrc::before_start));
  EXPECT_EQ(w.log->read(Sequence(5), {}).error(), make_error_code(StorageErrc::beyond_end));
  const auto end = w.log->read(Sequence(4), {});
  ASSERT_TRUE(end);
  EXPECT_EQ(end->next, Sequence(4));
}

TEST(Log, ThrottlesAboveItsQueue) {
  LogWorld w;
  w.options.queue_bytes_max = 2000;
  w.open();
  const TestRequest& large = w.send(1, 4000);  // alone it may be larger
  const TestRequest& refused = w.send(1);
  EXPECT_EQ(refused.answers, 1);
  EXPECT_EQ(refused.append.error, make_error_code(StorageErrc::throttled));
  w.run();
  EXPECT_TRUE(large.ok());
  EXPECT_TRUE(w.append(1).ok());
  EXPECT_EQ(w.log->metrics().throttled.value(), 1u);
}

TEST(Log, RecordComesBackAsItWentIn) {
  LogWorld w;
  w.open();
  TestRequest& r = w.prepare(2, 50, "");
  r.records[0].explicit_hash = true;
  r.records[0].content = ContentType::bytes;
  r.records[0].headers = "h: 1";
  r.records[0].hash = {0x0123456789abcdef, 0xfedcba9876543210};
  r.records[0].arrival = w.sim.clock.wall() - std::chrono::hours(5);
  r.records[1].arrival = w.sim.clock.wall() + std::chrono::hours(7);
  w.log->append(&r.append);
  w.run();
  w.kill();
  w.open();
  const auto batch = w.log->read(Sequence(1), {});
  ASSERT_TRUE(batch);
  ASSERT_EQ(batch->records.size(), 2u);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(batch->records[i].key, r.records[i].key);
    EXPECT_EQ(batch->records[i].headers, r.records[i].headers);
    EXPECT_EQ(batch->records[i].hash, r.records[i].hash);
    EXPECT_EQ(batch->records[i].explicit_hash, r.records[i].explicit_hash);
    EXPECT_EQ(batch->records[i].content, r.records[i].content);
    EXPECT_EQ(batch->records[i].arrival, r.records[i].arrival);
    EXPECT_EQ(batch->records[i].data, r.records[i].data);
  }
}

TEST(Log, FindsByTime) {
  LogWorld w;
  w.open();
  std::map<WallTime, Sequence> first_at;
  const WallTime begin = w.sim.clock.wall();
  for (int i = 0; i < 200; ++i) {
    w.sim.clock.advance(std::chrono::seconds(10));
    const WallTime now = w.sim.clock.wall();
    first_at[now] = w.append(3, 400).append.first;
  }
  for (const auto& [time, sequence] : first_at) {
    EXPECT_EQ(*w.log->find(time), sequence);
    EXPECT_EQ(*w.log->find(time - std::chrono::seconds(4)), sequence);
  }
  EXPECT_EQ(*w.log->find(begin), Sequence(1));
  EXPECT_EQ(*w.log->find(w.sim.clock.wall() + std::chrono::seconds(1)), next(w.log->durable()));
  w.kill();
  w.open();
  for (const auto& [time, sequence] : first_at) EXPECT_EQ(*w.log->find(time), sequence);
}

TEST(Log, ClockThatJumpsBackKeepsTheRunningMaximum) {
  LogWorld w;
  w.open();
  w.append(1);
  const WallTime high = w.sim.clock.wall();
  w.sim.clock.jump_wall(-std::chrono::hours(2));
  w.append(1);
  EXPECT_EQ(w.log->status().last_time, high);
  EXPECT_EQ(*w.log->find(high), Sequence(1));
}

TEST(Log, ListenersHearEachPublishUntilTheyGo) {
  LogWorld w;
  w.open();
  std::vector<std::uint64_t> heard;
  auto handle = w.log->listen([&](Sequence s) {
    EXPECT_EQ(s, w.log->durable());
    heard.push_back(s.value());
  });
  w.append(2);
  w.append(1);
  handle.reset();
  w.append(1);
  EXPECT_EQ(heard, (std::vector<std::uint64_t>{2, 3}));
}

TEST(Log, ListenerMayDropItself) {
  LogWorld w;
  w.open();
  int heard = 0;
  std::shared_ptr<void> handle;
  handle = w.log->listen([&](Sequence) {
    ++heard;
    handle.reset();
  });
  w.append(1);
  w.append(1);
  EXPECT_EQ(heard, 1);
}

TEST(Log, NotesSurviveTheirDelayAndAClose) {
  LogWorld w;
  w.open();
  w.append(5);
  EXPECT_FALSE(w.log->noted(3));
  w.log->note(3, Sequence(4));
  w.sim.executor.run_for(std::chrono::milliseconds(200));
  w.kill();
  w.open();
  EXPECT_EQ(w.log->noted(3), Sequence(4));
  EXPECT_FALSE(w.log->noted(2));
  w.log->note(2, Sequence(5));
  w.close();
  w.crash();
  w.open();
  EXPECT_EQ(w.log->noted(2), Sequence(5));
  EXPECT_EQ(w.log->noted(3), Sequence(4));
}

TEST(Log, ANoteThatMustBeOnDiskIsThereAfterAPowerCut) {
  LogWorld w;
  w.open();
  w.append(5);
  ASSERT_TRUE(w.log->note_durably(3, Sequence(1000)));
  w.crash({.writes = CrashPolicy::Keep::none});
  w.open();
  EXPECT_EQ(w.log->noted(3), Sequence(1000));
  EXPECT_FALSE(w.log->noted(2));
}

TEST(Log, CloseAnswersWhatIsInFlightAndRefusesTheRest) {
  LogWorld w;
  w.open();
  const TestRequest& in_flight = w.send(1);
  bool closed = false;
  w.log->close([&] { closed = true; });
  const TestRequest& late = w.send(1);
  EXPECT_EQ(late.append.error, make_error_code(StorageErrc::closed));
  EXPECT_FALSE(closed);
  w.run();
  EXPECT_TRUE(closed);
  EXPECT_TRUE(in_flight.ok());
  EXPECT_EQ(w.log->read(Sequence(1), {})->records.size(), 1u);
  EXPECT_TRUE(w.files(".fill").empty());
}

TEST(Log, EpochRisesAtEachStartAndRemembersWhereTheOthersEnded) {
  LogWorld w;
  w.open();
  const Epoch first = w.log->status().epoch;
  w.append(10);
  w.kill();
  w.open();
  const Epoch second = w.log->status().epoch;
  EXPECT_GT(second, first);
  w.append(5);
  w.close();
  w.open();
  EXPECT_GT(w.log->status().epoch, second);
  EXPECT_EQ(w.log->end_of(first), Sequence(10));
  EXPECT_EQ(w.log->end_of(second), Sequence(15));
  EXPECT_EQ(w.log->end_of(w.log->status().epoch), Sequence(15));
  EXPECT_FALSE(w.log->end_of(Epoch(0)));
  EXPECT_FALSE(w.log->end_of(Epoch(w.log->status().epoch.value() + 1)));
}

TEST(Log, ManyStartsLeaveNoRubbishBehind) {
  LogWorld w;
  w.open();
  w.append(3);
  for (int i = 0; i < 300; ++i) {
    w.crash();
    w.open();
  }
  EXPECT_LE(w.files(".seg").size(), 2u);
  EXPECT_TRUE(w.files(".fill").empty());
  w.expect_nothing_lost();
  EXPECT_EQ(w.log->end_of(Epoch(1)), Sequence(3));
}

}  // namespace
}  // namespace tidemill
