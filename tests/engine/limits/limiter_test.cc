#include "engine/limits/limiter.h"

#include <atomic>
#include <thread>

#include "engine/limits/limit_events.h"
#include "storage/base/errors.h"
#include "tests/engine/limits/limiter_world.h"
#include "tests/support/real_env.h"

namespace tidemill {
namespace {

using namespace std::chrono_literals;

TEST_F(LimiterTest, WithoutLimitsEverythingPassesAndIsCounted) {
  const auto admitted = limiter->admit(kTill, kAcme, nullptr);
  EXPECT_FALSE(admitted.refused);
  EXPECT_FALSE(admitted.limited);
  EXPECT_FALSE(charge(kTill, kAcme, amounts(500, 1 << 20)));
  EXPECT_FALSE(limiter->admit(std::nullopt, "default", nullptr).limited);
  sim.executor.run_for(10s);
  ASSERT_EQ(usage.deltas.size(), 1u);
  const UsageDelta& delta = usage.deltas[0];
  EXPECT_EQ(delta.tenant, kAcme);
  EXPECT_EQ(delta.key, kTill);
  EXPECT_EQ(format_rfc3339(delta.hour), "2026-01-02T03:00:00.000Z");
  EXPECT_EQ(delta.counts.requests, 1u);
  EXPECT_EQ(delta.counts.records, 500u);
  EXPECT_EQ(delta.counts.bytes, 1u << 20);
  sim.executor.run_for(10s);
  EXPECT_EQ(usage.appends, 1u);  // nothing changed, nothing is written
}

TEST_F(LimiterTest, AKeysRateHoldsFromTheNextRequestOnUntilItIsRemoved) {
  EXPECT_EQ(passing(50), 50u);
  set(key(kTill), R"({"requests":{"per_second":5,"burst":10}})");
  EXPECT_EQ(passing(50), 10u);
  EXPECT_EQ(passing(50, kBoard), 50u);  // another key's are another's
  const auto refusal = request();
  ASSERT_TRUE(refusal);
  EXPECT_FALSE(refusal->of_tenant);
  EXPECT_EQ(refusal->retry_after, 200ms);
  sim.clock.advance(1s);
  EXPECT_EQ(passing(50), 5u);
  set(key(kTill), R"({"requests":{"per_second":100}})");
  EXPECT_EQ(passing(500), 100u);
  ASSERT_TRUE(limiter->remove(key(kTill), {}));
  EXPECT_EQ(passing(500), 500u);
  EXPECT_EQ(limiter->refused()[0].of[static_cast<std::size_t>(LimitKind::rate)], 40u + 1 + 45 + 400);
}

TEST_F(LimiterTest, TheTighterOfKeyAndTenantAnswers) {
  set(key(kTill), R"({"requests":{"per_second":10}})");
  set(tenant(kAcme), R"({"requests":{"per_second":15}})");
  EXPECT_EQ(passing(20), 10u);
  EXPECT_FALSE(request()->of_tenant);
  EXPECT_EQ(passing(20, kBoard), 5u);  // what the other key of the tenant has left
  const auto refusal = request(kBoard);
  ASSERT_TRUE(refusal);
  EXPECT_TRUE(refusal->of_tenant);
  EXPECT_EQ(limiter->admit(KeyId{1}, "other", nullptr).refused, std::nullopt);
  // What the tenant refuses does not use up the key's own.
  sim.clock.advance(100ms);  // key 1, tenant 1.5
  EXPECT_EQ(passing(20, kBoard), 1u);
  sim.clock.advance(60ms);
  EXPECT_EQ(passing(20), 1u);
}

// A server without keys: nobody is counted, and what the tenant `default` may not, nobody may.
TEST_F(LimiterTest, WithoutKeysTheTenantsLimitsHold) {
  set(tenant("default"), R"({"requests":{"per_second":2},"connections":1})");
  EXPECT_TRUE(limiter->admit(std::nullopt, "default", nullptr).limited);
  EXPECT_FALSE(limiter->admit(std::nullopt, "default", nullptr).refused);
  EXPECT_TRUE(limiter->admit(std::nullopt, "default", nullptr).refused->of_tenant);
  std::shared_ptr<void> a, b;
  EXPECT_FALSE(hold(std::nullopt, "default", a));
  EXPECT_TRUE(hold(std::nullopt, "default", b));
  a.reset();
  EXPECT_FALSE(hold(std::nullopt, "default", b));
  sim.executor.run_for(10s);
  EXPECT_TRUE(usage.deltas.empty());
}

TEST_F(LimiterTest, RecordsAndBytesAreAllOrNothing) {
  set(key(kTill), R"({"records":{"per_second":100},"bytes":{"per_second":1000}})");
  EXPECT_FALSE(request());
  EXPECT_FALSE(charge(kTill, kAcme, amounts(60, 500)));
  auto refusal = charge(kTill, kAcme, amounts(60, 100));
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->measure, Measure::records);
  EXPECT_EQ(refusal->retry_after, 200ms);
  EXPECT_FALSE(charge(kTill, kAcme, amounts(40, 500)));  // the bytes of the refused one were not taken
  EXPECT_TRUE(foresee(kTill, kAcme, amounts(1, 1)));
  give_back(kTill, kAcme, amounts(40, 500));
  EXPECT_FALSE(foresee(kTill, kAcme, amounts(40, 500)));
  EXPECT_FALSE(foresee(kTill, kAcme, amounts(40, 500)));  // takes nothing
  EXPECT_FALSE(charge(kTill, kAcme, amounts(40, 500)));
}

// Of what an earlier request had stored, and of what could not be read, the rates are used, the quotas and usage not.
TEST_F(LimiterTest, WorkForNothingUsesRatesOnly) {
  set(key(kTill), R"({"bytes":{"per_second":1000,"per_day":5000}})");
  set(tenant(kAcme), R"({"bytes":{"per_second":2000,"per_day":5000}})");
  EXPECT_FALSE(charge(kTill, kAcme, amounts(1, 600)));
  replayed(kTill, kAcme, amounts(1, 600));
  limiter->spend(kTill, kAcme, amounts(0, 600));  // in debt
  EXPECT_EQ(foresee(kTill, kAcme, amounts(1, 1))->retry_after, 201ms);
  std::vector<Standing> standings;
  limiter->standings(kTill, kAcme, standings);
  ASSERT_EQ(standings.size(), 4u);
  EXPECT_EQ(standings[1].left, 5000u);
  EXPECT_EQ(standings[2].left, 800u);
  EXPECT_EQ(standings[3].left, 5000u);
  limiter->close();
  EXPECT_EQ(usage.sum(kTill).bytes, 0u);
  EXPECT_EQ(usage.sum(kTill).records, 0u);
}

// A refused request has used its token and no quota, and is counted as refused.
TEST_F(LimiterTest, WhatIsRefusedIsNotUsed) {
  set(key(kTill), R"({"requests":{"per_day":3},"records":{"per_day":10}})");
  for (int i = 0; i < 5; ++i) {
    EXPECT_FALSE(request());
    EXPECT_TRUE(charge(kTill, kAcme, amounts(11)));
  }
  EXPECT_FALSE(request());
  EXPECT_FALSE(charge(kTill, kAcme, amounts(10)));
  limiter->close();
  EXPECT_EQ(usage.sum(kTill).requests, 1u);
  EXPECT_EQ(usage.sum(kTill).records, 10u);
  EXPECT_EQ(usage.sum(kTill).refused, 5u);
}

// Charged in one second, handed over, and given back in the next: the sum is right, and no delta is below nothing.
TEST_F(LimiterTest, WhatIsGivenBackLaterIsTakenOffLater) {
  EXPECT_FALSE(charge(kTill, kAcme, amounts(100, 10)));
  sim.executor.run_for(10s);
  EXPECT_EQ(usage.sum(kTill).records, 100u);
  give_back(kTill, kAcme, amounts(100, 10));
  sim.executor.run_for(300s);
  EXPECT_FALSE(charge(kTill, kAcme, amounts(150, 30)));
  sim.executor.run_for(10s);
  EXPECT_EQ(usage.sum(kTill).records, 150u);
  EXPECT_EQ(usage.sum(kTill).bytes, 30u);
}

// Events are kept for ever, so what changes nothing is none; nor does it fill a bucket anew, or read usage.
TEST_F(LimiterTest, WhatIsSoAlreadyWritesNothing) {
  const std::string_view ten = R"({"requests":{"per_second":10,"per_day":1000}})";
  ASSERT_TRUE(limiter->remove(key(kTill), {}));
  ASSERT_TRUE(limiter->remove(tenant(kAcme), {}));
  EXPECT_EQ(log->durable(), Sequence(0));
  set(key(kTill), ten);
  set(tenant(kAcme), ten);
  const Sequence before = log->durable();
  EXPECT_EQ(passing(4), 4u);
  std::size_t reads = 0;
  usage.reading = [&](const std::string&) { ++reads; };
  for (int i = 0; i < 10; ++i) {
    set(key(kTill), ten);
    set(tenant(kAcme), R"({"requests":{"per_day":1000,"burst":10,"per_second":10}})");
  }
  EXPECT_EQ(log->durable(), before);
  EXPECT_EQ(reads, 0u);
  EXPECT_EQ(passing(20), 6u);
  set(key(kTill), R"({"requests":{"per_second":11}})");
  EXPECT_EQ(log->durable(), next(before));
}

TEST_F(LimiterTest, AFailingUsageLogStopsNobody) {
  usage.failing = true;
  EXPECT_EQ(passing(5), 5u);
  sim.executor.run_for(11s);
  usage.failing = false;
  EXPECT_EQ(passing(2), 2u);
  sim.executor.run_for(10s);
  EXPECT_EQ(usage.sum(kTill).requests, 2u);  // not given twice
}

TEST_F(LimiterTest, ConnectionsCountWhileTheyAreOpen) {
  set(key(kTill), R"({"connections":2})");
  set(tenant(kAcme), R"({"connections":3})");
  std::shared_ptr<void> a, b, c, d, e;
  EXPECT_TRUE(limiter->admit(kTill, kAcme, nullptr).connections);
  EXPECT_FALSE(hold(kTill, kAcme, a));
  EXPECT_FALSE(hold(kTill, kAcme, a));  // the same connection's next request
  EXPECT_FALSE(hold(kTill, kAcme, b));
  auto refusal = hold(kTill, kAcme, c);
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->kind, LimitKind::connections);
  EXPECT_FALSE(refusal->of_tenant);
  EXPECT_FALSE(c);
  EXPECT_FALSE(hold(kBoard, kAcme, d));
  EXPECT_TRUE(hold(kBoard, kAcme, e)->of_tenant);
  EXPECT_EQ(limiter->used(key(kTill)).connections, 2u);
  EXPECT_EQ(limiter->used(tenant(kAcme)).connections, 3u);
  a.reset();
  EXPECT_FALSE(hold(kTill, kAcme, c));
  // One that goes on under another key counts for that.
  EXPECT_FALSE(hold(kBoard, kAcme, c));
  EXPECT_EQ(limiter->used(key(kTill)).connections, 1u);
  EXPECT_EQ(limiter->used(tenant(kAcme)).connections, 3u);
  // A limit that goes while connections are open, and one that comes.
  ASSERT_TRUE(limiter->remove(key(kTill), {}));
  ASSERT_TRUE(limiter->remove(tenant(kAcme), {}));
  b.reset();
  c.reset();
  d.reset();
  set(key(kTill), R"({"connections":1})");
  EXPECT_EQ(limiter->used(key(kTill)).connections, 0u);
  EXPECT_FALSE(hold(kTill, kAcme, a));
  EXPECT_TRUE(hold(kTill, kAcme, b));
}

TEST_F(LimiterTest, StreamsAndDiskOfATenant) {
  EXPECT_FALSE(limiter->new_stream(kAcme, 1'000));
  set(tenant(kAcme), R"({"streams":2,"disk_bytes":1000})");
  EXPECT_FALSE(limiter->new_stream(kAcme, 1));
  EXPECT_TRUE(limiter->new_stream(kAcme, 2));
  EXPECT_FALSE(limiter->new_stream("other", 2));
  disk = 999;
  sim.executor.run_for(1s);
  EXPECT_FALSE(charge(kTill, kAcme, amounts(1, 50)));
  disk = 1'000;
  sim.executor.run_for(1s);
  EXPECT_EQ(charge(kTill, kAcme, amounts(1, 50))->kind, LimitKind::disk);
  EXPECT_EQ(foresee(kTill, kAcme, amounts(1, 50))->kind, LimitKind::disk);
  EXPECT_FALSE(request());  // reading goes on
  EXPECT_FALSE(charge(KeyId{1}, "other", amounts(1, 50)));
  EXPECT_EQ(limiter->used(tenant(kAcme)).disk_bytes, 1'000u);
  disk = 10;
  sim.executor.run_for(1s);
  EXPECT_FALSE(charge(kTill, kAcme, amounts(1, 50)));
}

// So many an hour and so many at once, of each tenant, whichever of its keys asks.
TEST_F(LimiterTest, ChangesOfATenantAreSoManyAnHour) {
  for (int i = 0; i < 5'000; ++i) ASSERT_FALSE(change(kTill, kAcme)) << "no limit";
  changes_per_hour = 60;
  restart();
  const auto passing_changes = [&](KeyId id) {
    int n = 0;
    while (n < 1'000 && !change(id, kAcme)) ++n;
    return n;
  };
  EXPECT_FALSE(request());
  EXPECT_EQ(passing_changes(kTill), 60);
  EXPECT_EQ(passing_changes(kBoard), 0);
  const auto refusal = change(kTill, kAcme);
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->kind, LimitKind::changes);
  EXPECT_TRUE(refusal->of_tenant);
  EXPECT_EQ(refusal->most, 60u);
  EXPECT_EQ(refusal->retry_after, 60s);
  EXPECT_FALSE(change(KeyId{1}, "other"));
  sim.clock.advance(59'999ms);
  EXPECT_EQ(passing_changes(kTill), 0);
  sim.clock.advance(1ms);
  EXPECT_EQ(passing_changes(kTill), 1);
  sim.clock.advance(24h);
  EXPECT_EQ(passing_changes(kTill), 60);
  EXPECT_FALSE(request()) << "all else goes on";
}

// Keys that came once do not stay; those with a quota that they used do.
TEST_F(LimiterTest, WhoIsIdleIsForgotten) {
  set(key(kTill), R"({"requests":{"per_month":10}})");
  EXPECT_EQ(passing(3), 3u);
  for (std::uint64_t i = 1'000; i < 5'000; ++i) EXPECT_FALSE(request(KeyId{i * 0x9e3779b97f4a7c15ull}));
  EXPECT_EQ(limiter->accounts(), 4'001u);
  sim.executor.run_for(30s);
  EXPECT_EQ(limiter->accounts(), 4'001u);
  sim.executor.run_for(90s);
  EXPECT_EQ(limiter->accounts(), 1u);
  EXPECT_EQ(passing(20), 7u);
}

// More keys than memory is meant for go as soon as they are counted.
TEST_F(LimiterTest, OfVeryManyOnlyTheLatestAreKept) {
  for (std::uint64_t i = 1; i <= 150'000; ++i) EXPECT_FALSE(request(KeyId{i * 0x9e3779b97f4a7c15ull}));
  sim.executor.run_for(5s);
  EXPECT_EQ(limiter->accounts(), 0u);
  std::uint64_t sum = 0;
  for (const auto& delta : usage.deltas) sum += delta.counts.requests;
  EXPECT_EQ(sum, 150'000u);
}

TEST_F(LimiterTest, AnEventThatCannotBeReadKeepsTheServerDown) {
  set(key(kTill), R"({"requests":{"per_day":10}})");
  log->put("limits.set", R"({"key":"0000000000007","limits":{"requests":{"per_fortnight":5}}})");
  sim.executor.run_until_idle();
  limiter->close();
  sim.executor.drop_all();
  limiter.reset();
  system = std::make_unique<SystemStream>(sim.env, log);
  const auto opened = Limiter::open(sim.env, *system, {sim.executor, &usage});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error(), StorageErrc::damaged);
}

TEST(LimitEvents, AreAsThePageHasThem) {
  const LimitsSet set{key(KeyId{7}), limits(R"({"requests":{"per_second":5}})"), KeyId{9}};
  EXPECT_EQ(encode(set),
            R"({"key":"0000000000007","limits":{"requests":{"per_second":5,"burst":5}},"by":"0000000000009"})");
  const auto back = decode_limits_set(encode(set));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->owner.key, KeyId{7});
  EXPECT_EQ(back->limits, set.limits);
  EXPECT_EQ(back->by, KeyId{9});
  EXPECT_EQ(encode(LimitsRemoved{tenant(kAcme), {}}), R"({"tenant":"acme"})");
  EXPECT_EQ(decode_limits_removed(R"({"tenant":"acme","later":1})")->owner.tenant, kAcme);
  EXPECT_FALSE(decode_limits_removed("{}"));
  EXPECT_FALSE(decode_limits_set(R"({"key":"0000000000007","limits":{"streams":5}})"));
}

// Two network threads on one key, its tenant limited as well, while the clock goes: together they get what is there and
// no more, and every request is counted once.
TEST(LimiterThreads, TogetherTheyGetWhatOneWouldGet) {
  RealEnv real;
  SimClock clock;
  Env env{real.files, clock, system_random(), real.flush, real.background, null_logger()};
  ThreadExecutor writer("usage", 1);
  FakeUsageLog usage;
  const auto log = std::make_shared<FakeLog>(env);
  SystemStream system(env, log);
  std::unique_ptr<Limiter> limiter = *Limiter::open(env, system, {writer, &usage});
  ASSERT_TRUE(limiter->set(key(kTill), limits(R"({"requests":{"per_second":1000,"burst":500}})"), {}));
  ASSERT_TRUE(
      limiter->set(tenant(kAcme), limits(R"({"requests":{"per_second":100000},"records":{"per_day":3000}})"), {}));
  std::atomic<std::uint64_t> passed{0}, refused{0}, records{0};
  std::atomic<bool> go{true};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      while (go.load()) {
        if (limiter->admit(kTill, kAcme, nullptr).refused) {
          ++refused;
          continue;
        }
        ++passed;
        if (!limiter->charge(kTill, kAcme, amounts(2), clock.monotonic(), nullptr))
          records += 2;
        else {
          --passed;
          ++refused;
        }
      }
    });
  for (int i = 0; i < 1'000; ++i) {
    clock.advance(1ms);
    if (i == 500) {
      ASSERT_TRUE(limiter->set(tenant("other"), limits(R"({"streams":1})"), {}));
    }
    limiter->write_usage();
  }
  // The clock stands still: when all have been refused for a while, nothing is left.
  for (const std::uint64_t before = refused.load(); refused.load() < before + 10'000;) std::this_thread::yield();
  go = false;
  for (auto& thread : threads) thread.join();
  EXPECT_LE(passed.load(), 1'500u);
  EXPECT_GE(passed.load(), 500u);
  EXPECT_LE(records.load(), 3'000u);
  EXPECT_EQ(records.load(), 2 * passed.load());
  limiter->close();
  EXPECT_EQ(usage.sum(kTill).requests, passed.load());
  EXPECT_EQ(usage.sum(kTill).records, records.load());
  EXPECT_EQ(usage.sum(kTill).refused, refused.load());
  limiter.reset();
  writer.stop();
}

}  // namespace
}  // namespace tidemill
