#include <atomic>
#include <thread>

#include "storage/base/errors.h"
#include "tests/engine/limits/limiter_world.h"
#include "tests/support/real_env.h"

namespace tidemill {
namespace {

using namespace std::chrono_literals;

// Setting a quota reads a month of usage: the tenant's only, one at a time, and what others use is noted meanwhile.
TEST_F(LimiterTest, ReadingForAQuotaHoldsNobodyUp) {
  const LimitOwner till{kTill, kAcme};
  std::vector<std::string> read;
  Result<void> second, other, rate;
  usage.reading = [&](const std::string& of) {
    read.push_back(of);
    if (read.size() != 1) return;
    second = limiter->set({kBoard, kAcme}, limits(R"({"records":{"per_day":5}})"), {});
    other = limiter->set(tenant(kAcme), limits(R"({"records":{"per_day":5}})"), {});
    rate = limiter->set({kBoard, kAcme}, limits(R"({"records":{"per_second":5}})"), {});
    EXPECT_FALSE(request());
    EXPECT_FALSE(request(KeyId{1}, "other"));
    limiter->write_usage();
    ASSERT_EQ(usage.deltas.size(), 1u);
    EXPECT_EQ(usage.deltas[0].tenant, "other");
  };
  EXPECT_TRUE(limiter->set(till, limits(R"({"records":{"per_day":5}})"), {}));
  EXPECT_EQ(read, (std::vector<std::string>{kAcme, kAcme}));
  EXPECT_FALSE(second);
  EXPECT_EQ(second.error(), StorageErrc::throttled);
  EXPECT_TRUE(other);
  EXPECT_TRUE(rate);
  EXPECT_TRUE(limiter->set(till, limits(R"({"records":{"per_day":6}})"), {}));
}

// Taken before midnight and given back after it: that is not what the new day has used.
TEST_F(LimiterTest, WhatADayHadIsNotGivenBackToTheNext) {
  set(key(kTill), R"({"requests":{"per_day":5},"records":{"per_day":10,"per_month":1000}})");
  set(tenant(kAcme), R"({"records":{"per_day":10}})");
  const auto left = [&] {
    std::vector<Standing> all;
    std::vector<std::uint64_t> out;
    limiter->standings(kTill, kAcme, all);
    for (const Standing& one : all) out.push_back(one.left);
    return out;
  };
  sim.clock.set_wall(*parse_rfc3339("2026-01-02T23:59:59Z"));
  const MonotonicTime before = sim.clock.monotonic();
  EXPECT_EQ(passing(2), 2u);
  EXPECT_FALSE(charge(kTill, kAcme, amounts(6)));
  EXPECT_EQ(left(), (std::vector<std::uint64_t>{3, 4, 994, 4}));
  sim.clock.advance(2s);
  EXPECT_EQ(passing(1), 1u);
  EXPECT_FALSE(charge(kTill, kAcme, amounts(8)));
  const MonotonicTime after = sim.clock.monotonic();
  EXPECT_EQ(left(), (std::vector<std::uint64_t>{4, 2, 986, 2}));
  limiter->give_back(kTill, kAcme, amounts(3), before);
  limiter->replayed(kTill, kAcme, amounts(3), before);
  EXPECT_EQ(left(), (std::vector<std::uint64_t>{4, 2, 992, 2})) << "of the month it is";
  EXPECT_TRUE(limiter->charge(kTill, kAcme, amounts(9), before, nullptr));
  EXPECT_EQ(left(), (std::vector<std::uint64_t>{4, 2, 992, 2})) << "the request itself, likewise";
  limiter->give_back(kTill, kAcme, amounts(8), after);
  EXPECT_EQ(left(), (std::vector<std::uint64_t>{4, 10, 1000, 10}));
}

TEST_F(LimiterTest, QuotasOutliveARestart) {
  set(key(kTill), R"({"requests":{"per_day":10,"per_month":15}})");
  set(tenant(kAcme), R"({"records":{"per_month":1000}})");
  EXPECT_EQ(passing(4), 4u);
  EXPECT_FALSE(charge(kTill, kAcme, amounts(600)));
  restart();
  EXPECT_EQ(passing(20), 6u);
  EXPECT_EQ(request()->kind, LimitKind::day_quota);
  EXPECT_FALSE(request(kBoard));
  EXPECT_EQ(charge(kBoard, kAcme, amounts(401))->kind, LimitKind::month_quota);
  EXPECT_FALSE(charge(kBoard, kAcme, amounts(400)));  // of the tenant, whichever key
  sim.executor.run_for(1s);
  restart(true);  // a crash forgets what was not handed over: here nothing
  EXPECT_TRUE(request());
  sim.clock.advance(24h);
  EXPECT_EQ(passing(20), 5u);  // the next day; the month has 15
  EXPECT_EQ(request()->kind, LimitKind::month_quota);
  EXPECT_EQ(request()->retry_after, *parse_rfc3339("2026-02-01T00:00:00Z") - sim.clock.wall());
  restart();
  EXPECT_TRUE(request());
  sim.clock.set_wall(*parse_rfc3339("2026-02-01T00:00:00Z"));
  EXPECT_EQ(passing(20), 10u);
}

TEST_F(LimiterTest, AClockSetBackDoesNotGiveASecondQuotaAcrossARestart) {
  sim.clock.set_wall(*parse_rfc3339("2026-03-02T00:30:00Z"));
  set(key(kTill), R"({"requests":{"per_day":10}})");
  EXPECT_EQ(passing(20), 10u);
  sim.executor.run_for(1s);  // noted as of that day
  sim.clock.jump_wall(-2h);
  EXPECT_TRUE(request());
  restart();
  EXPECT_TRUE(request());
}

// A quota that is set in the middle of a day counts what was used before.
TEST_F(LimiterTest, AQuotaCountsTheWholeDay) {
  EXPECT_EQ(passing(6), 6u);
  set(key(kTill), R"({"requests":{"per_day":10}})");
  EXPECT_EQ(passing(20), 4u);
  set(tenant(kAcme), R"({"requests":{"per_day":12}})");
  EXPECT_EQ(passing(20, kBoard), 2u);
  // The quota goes on where the limits are set anew, and is not counted twice.
  set(key(kTill), R"({"requests":{"per_day":11}})");
  set(tenant(kAcme), R"({"requests":{"per_day":13}})");
  EXPECT_EQ(passing(20), 1u);
}

// What was used before, while it is set, and while the usage is read counts, and counts once.
TEST_F(LimiterTest, AQuotaCountsWhatIsUsedWhileItIsSet) {
  EXPECT_EQ(passing(3), 3u);
  EXPECT_FALSE(charge(kBoard, kAcme, amounts(10)));
  limiter->write_usage();
  give_back(kBoard, kAcme, amounts(4));
  usage.reading = [&](const std::string&) {
    EXPECT_EQ(passing(2), 2u);
    sim.executor.run_for(11s);
    EXPECT_EQ(passing(1), 1u);
  };
  usage.was_read = [&] {
    EXPECT_EQ(passing(3), 3u);
    EXPECT_FALSE(charge(kBoard, kAcme, amounts(1)));
    sim.executor.run_for(11s);
  };
  set({kTill, kAcme}, R"({"requests":{"per_day":20}})");
  set(tenant(kAcme), R"({"requests":{"per_day":40},"records":{"per_day":20}})");
  usage.reading = nullptr;
  usage.was_read = nullptr;
  std::vector<Standing> standings;
  limiter->standings(kTill, kAcme, standings);
  ASSERT_EQ(standings.size(), 3u);
  EXPECT_EQ(standings[0].left, 20u - 3 - 2 * 6);
  EXPECT_EQ(standings[1].left, 40u - 3 - 2 * 6);
  EXPECT_EQ(standings[2].left, 20u - 10 + 4 - 2);
  sim.executor.run_for(1s);
  EXPECT_EQ(usage.sum(kTill).requests, 15u) << "it is noted afterwards";
  restart();
  standings.clear();
  limiter->standings(kTill, kAcme, standings);
  EXPECT_EQ(standings[0].left, 5u);
}

// What is used on either side of midnight while a quota is set is of its own day.
TEST_F(LimiterTest, AQuotaThatIsSetOverMidnightCountsTheNewDay) {
  sim.clock.set_wall(*parse_rfc3339("2026-01-02T23:59:59Z"));
  EXPECT_EQ(passing(3), 3u);
  usage.reading = [&](const std::string&) {
    EXPECT_EQ(passing(2), 2u);
    sim.clock.advance(2s);
    EXPECT_EQ(passing(4), 4u);
  };
  set({kTill, kAcme}, R"({"requests":{"per_day":20,"per_month":100}})");
  usage.reading = nullptr;
  std::vector<Standing> standings;
  limiter->standings(kTill, kAcme, standings);
  EXPECT_EQ(standings[0].left, 16u);
  EXPECT_EQ(standings[1].left, 91u);
}

// Four threads at work while quotas are set again and again: nothing is counted twice, and nothing is left out.
TEST(LimiterThreads, AQuotaThatIsSetAtWorkIsExact) {
  RealEnv real;
  ThreadExecutor writer("usage", 1);
  FakeUsageLog usage;
  const auto log = std::make_shared<FakeLog>(real.env);
  SystemStream system(real.env, log);
  std::unique_ptr<Limiter> limiter = *Limiter::open(real.env, system, {writer, &usage});
  std::atomic<std::uint64_t> asked{0};
  std::atomic<bool> go{true};
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      const KeyId mine{t * 0x9e3779b97f4a7c15ull};
      while (go.load()) {
        EXPECT_FALSE(limiter->admit(mine, kAcme, nullptr).refused);
        ++asked;
      }
    });
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(limiter->remove(tenant(kAcme), {}));
    for (const std::uint64_t before = asked.load(); asked.load() < before + 1'000;) std::this_thread::yield();
    ASSERT_TRUE(limiter->set(tenant(kAcme), limits(R"({"requests":{"per_month":999999999}})"), {}));
  }
  go = false;
  for (auto& thread : threads) thread.join();
  std::vector<Standing> standings;
  limiter->standings(std::nullopt, kAcme, standings);
  ASSERT_EQ(standings.size(), 1u);
  EXPECT_EQ(standings[0].left, 999'999'999 - asked.load());
  limiter->close();
  limiter.reset();
  writer.stop();
}

// What a quota depends on is handed over each second; the rest, which costs as much, now and then.
TEST_F(LimiterTest, UseIsHandedOverAsOftenAsItMatters) {
  set(key(kTill), R"({"requests":{"per_day":10}})");
  EXPECT_EQ(passing(2), 2u);
  EXPECT_EQ(passing(3, kBoard), 3u);
  EXPECT_FALSE(request(KeyId{1}, "other"));
  sim.executor.run_for(1s);
  EXPECT_EQ(usage.sum(kTill).requests, 2u);
  EXPECT_EQ(usage.sum(kBoard).requests, 0u);
  set(tenant(kAcme), R"({"bytes":{"per_month":10}})");  // hands over all
  EXPECT_EQ(usage.sum(KeyId{1}).requests, 1u);
  EXPECT_EQ(passing(3, kBoard), 3u);
  EXPECT_FALSE(request(KeyId{1}, "other"));
  sim.executor.run_for(1s);
  EXPECT_EQ(usage.sum(kBoard).requests, 6u);
  EXPECT_EQ(usage.sum(KeyId{1}).requests, 1u);
  sim.executor.run_for(10s);
  EXPECT_EQ(usage.sum(KeyId{1}).requests, 2u);
}

TEST_F(LimiterTest, AUsageLogThatCannotBeReadDoesNotKeepTheServerDown) {
  set(key(kTill), R"({"requests":{"per_day":10}})");
  EXPECT_EQ(passing(4), 4u);
  limiter->close();
  limiter.reset();
  sim.executor.drop_all();
  system = std::make_unique<SystemStream>(sim.env, log);
  usage.damaged = true;  // hands out what there is all the same
  open();
  EXPECT_EQ(passing(20), 6u);
}

}  // namespace
}  // namespace tidemill
