// What several logs share: memory in flight, turns at the flush threads, recent commits.

#include "storage/log/pond.h"

#include <algorithm>

#include "tests/storage/log/log_world.h"

namespace tidemill {
namespace {

using std::chrono::seconds;

constexpr MonotonicTime kNow{seconds(1'000)};

struct Asker {
  InFlightBudget& budget;
  std::uint64_t own = 0;
  bool ask(std::uint64_t more) {
    if (!budget.take(own, more, kNow)) return false;
    own += more;
    return true;
  }
  void fill() {
    while (ask(1)) continue;
  }
};

TEST(InFlightBudget, OneAloneGetsAQuarter) {
  InFlightBudget budget(1'000);
  Asker a{budget};
  a.fill();
  EXPECT_EQ(a.own, 250u);
  budget.give_back(250, kNow);
  a.own = 0;
  ASSERT_TRUE(a.ask(100));
  EXPECT_FALSE(a.ask(151));
  EXPECT_TRUE(a.ask(150));
}

TEST(InFlightBudget, ManyGetEqualPartsAndTheNextOneStillGetsIn) {
  InFlightBudget budget(1'000'000);
  std::vector<Asker> askers(100, Asker{budget});
  for (bool any = true; any;) {
    any = false;
    for (Asker& a : askers) any = a.ask(10) || any;
  }
  for (const Asker& a : askers) {
    EXPECT_NEAR(static_cast<double>(a.own), 1'000'000 / 103.0, 30);
  }
  EXPECT_LT(budget.bytes(), 1'000'000u);
  Asker late{budget};
  EXPECT_TRUE(late.ask(1'000));
  EXPECT_TRUE(late.ask(1'000)) << "and more than one request";
}

TEST(InFlightBudget, ALoneRequestMayBeLargerThanAllButNotTwo) {
  InFlightBudget budget(1'000);
  Asker a{budget}, b{budget};
  EXPECT_TRUE(a.ask(5'000));
  EXPECT_FALSE(b.ask(1));
  EXPECT_FALSE(a.ask(1));
  budget.give_back(5'000, kNow);
  EXPECT_TRUE(b.ask(999));
  EXPECT_TRUE(Asker{budget}.ask(5'000)) << "there is room for one byte";
}

TEST(InFlightBudget, SaysWhatMustGoAndHowLongThatTakes) {
  InFlightBudget budget(1'000);
  Asker a{budget};
  a.fill();
  EXPECT_EQ(budget.own_excess(250, 100), 100u);
  EXPECT_EQ(budget.own_excess(250, 10'000), 250u) << "no more than there is";
  budget.give_back(250, kNow + seconds(1));  // 250 bytes a second
  Asker b{budget};
  ASSERT_TRUE(budget.take(0, 1'249, kNow + seconds(9)));
  ASSERT_FALSE(b.ask(10));
  EXPECT_EQ(budget.own_excess(0, 10), 0u);
  EXPECT_NEAR(std::chrono::duration<double>(budget.time_for_room(kNow + seconds(9))).count(), 1, 0.01);
}

// Logs on one simulated disk and one pond.
struct PondWorld {
  explicit PondWorld(const Pond::Options& options = {}) : pond(std::make_shared<Pond>(options)) {}
  ~PondWorld() {
    sim.power_off();
    listeners.clear();
    logs.clear();
    sim.executor.drop_all();
  }
  Log& open(const std::string& name) {
    LogOptions o;
    o.commit_bytes_max = 64 << 10;
    o.segment_bytes_first = 8 << 20;
    o.pond = pond;
    logs.push_back(*Log::open(sim.env, "/" + name, o));
    listeners.push_back(logs.back()->listen([this, name](Sequence) { flushed.push_back(name); }));
    return *logs.back();
  }
  TestRequest& send(Log& log, std::size_t bytes) {
    TestRequest& r = *requests.emplace_back(std::make_unique<TestRequest>());
    r.texts.emplace_back(bytes, 'x');
    NewRecord record;
    record.data = r.texts[0];
    r.records.push_back(record);
    r.append.records = r.records;
    log.append(&r.append);
    return r;
  }
  std::size_t flushes_of(const std::string& name) const {
    return static_cast<std::size_t>(std::count(flushed.begin(), flushed.end(), name));
  }

  SimEnv sim;
  std::shared_ptr<Pond> pond;
  std::vector<std::shared_ptr<Log>> logs;
  std::vector<std::shared_ptr<void>> listeners;
  std::deque<std::unique_ptr<TestRequest>> requests;
  std::vector<std::string> flushed;  // whose commits, in order
};

TEST(FlushTurns, AQuietStreamWaitsForOneCommitOfAllTheLoudOnes) {
  PondWorld w;
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    Log& loud = w.open(name);
    for (int i = 0; i < 30; ++i) w.send(loud, 60'000);  // a commit each
  }
  Log& quiet = w.open("q");
  for (std::size_t turn = 1; turn <= 12; ++turn) {
    w.sim.executor.run_until([&] { return w.flushed.size() >= turn * 7; });
    const std::size_t before = w.flushed.size();
    const TestRequest& r = w.send(quiet, 100);
    w.sim.executor.run_until([&] { return r.answers != 0; });
    EXPECT_TRUE(r.ok());
    EXPECT_LE(w.flushed.size(), before + 2) << "its own commit, and one that was under way";
  }
  EXPECT_EQ(w.flushes_of("q"), 12u);
  w.sim.executor.run_until_idle();
  for (const char* name : {"a", "b", "c", "d", "e"}) EXPECT_EQ(w.flushes_of(name), 30u);
}

TEST(FlushTurns, LoudStreamsTakeTurnsByWhatTheyWrite) {
  PondWorld w;
  Log& large = w.open("l");
  Log& small = w.open("s");
  // A commit of 1 MB counts as four flushes more, and waits for as many of the small ones.
  for (int i = 0; i < 4; ++i) w.send(large, 1 << 20);
  for (int i = 0; i < 60; ++i) w.send(small, 65'000);
  std::vector<std::size_t> small_before;
  for (std::size_t i = 1; i <= 4; ++i) {
    w.sim.executor.run_until([&] { return w.flushes_of("l") == i; });
    small_before.push_back(w.flushes_of("s"));
  }
  for (std::size_t i = 1; i < 4; ++i) {
    EXPECT_NEAR(static_cast<double>(small_before[i] - small_before[i - 1]),
                static_cast<double>((1 << 20) + FlushTurns::kFlushBytes) / (65'000 + FlushTurns::kFlushBytes), 1.01);
  }
}

TEST(FlushTurns, WhatWasNotUsedIsNotSavedUp) {
  PondWorld w;
  Log& idle = w.open("i");
  Log& busy = w.open("b");
  for (int i = 0; i < 60; ++i) w.send(busy, 60'000);
  w.sim.executor.run_until([&] { return w.flushes_of("b") == 30; });
  for (int i = 0; i < 20; ++i) w.send(idle, 60'000);
  w.sim.executor.run_until([&] { return w.flushes_of("i") == 20; });
  EXPECT_GE(w.flushes_of("b"), 48u) << "half of the turns, although it had thirty more before";
}

TEST(FlushTurns, TasksThatAnExecutorDropsAreGone) {
  const auto held = std::make_shared<int>();
  FlushTurns turns;
  FlushTurns::Account a, b;
  SimEnv sim;
  turns.post(sim.executor, a, [held] {});
  turns.post(sim.executor, b, [held] {});
  EXPECT_EQ(held.use_count(), 3);
  sim.executor.drop_all();
  EXPECT_EQ(held.use_count(), 1);
}

TEST(Pond, AStreamIsThrottledAtItsShareAndAnotherIsNot) {
  PondWorld w({.in_flight_bytes_max = 400'000});
  Log& loud = w.open("l");
  Log& quiet = w.open("q");
  std::size_t taken = 0;
  while (w.send(loud, 1'000).answers == 0) ++taken;
  EXPECT_NEAR(static_cast<double>(taken), 100, 10) << "a quarter of the pond";
  EXPECT_EQ(w.requests.back()->append.error, make_error_code(StorageErrc::throttled));
  EXPECT_EQ(loud.metrics().throttled.value(), 1u);
  const TestRequest& r = w.send(quiet, 1'000);
  EXPECT_EQ(r.answers, 0) << "waits for its commit";
  w.sim.executor.run_until_idle();
  EXPECT_TRUE(r.ok());
  EXPECT_EQ(w.pond->in_flight.bytes(), 0u);
  EXPECT_EQ(w.send(loud, 1'000).answers, 0);
  w.sim.executor.run_until_idle();
}

TEST(TailStore, TheOldestOfAllGoesFirst) {
  PondWorld w({.tail_bytes_max = 10'000});
  Log& a = w.open("a");
  Log& b = w.open("b");
  const auto cached = [](Log& log) {
    ReadOptions o;
    o.cached_only = true;
    std::size_t n = 0;
    for (Sequence s(1); s <= log.durable(); s = next(s)) n += log.read(s, o)->records.empty() ? 0 : 1;
    return n;
  };
  const auto write = [&](Log& log) {
    w.send(log, 1'000);
    w.sim.executor.run_until_idle();
  };
  for (int i = 0; i < 4; ++i) write(a);
  EXPECT_EQ(cached(a), 4u);
  for (int i = 0; i < 20; ++i) write(b);
  EXPECT_EQ(cached(a), 0u) << "an idle stream does not keep what a busy one needs";
  const std::size_t of_b = cached(b);
  EXPECT_GE(of_b, 5u);
  EXPECT_LE(w.pond->tails.bytes(), 10'000u);
  write(a);
  EXPECT_EQ(cached(a), 1u);
  EXPECT_LE(cached(b), of_b);
  w.listeners.clear();
  w.logs.erase(w.logs.begin() + 1);
  w.sim.executor.run_for(seconds(1));  // the timer for its mark holds it
  EXPECT_LT(w.pond->tails.bytes(), 3'000u) << "what is left is of the other";
}

}  // namespace
}  // namespace tidemill
