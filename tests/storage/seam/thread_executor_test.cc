#include "storage/seam/thread_executor.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <latch>
#include <mutex>
#include <thread>

#include "storage/seam/strand.h"
#include "tests/support/sim_executor.h"

namespace tidemill {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

TEST(ThreadExecutor, RunsInTheOrderOfPostingOnOneThread) {
  std::vector<int> order;
  ThreadExecutor pool("pool", 1);
  for (int i = 0; i < 1000; ++i) pool.post([&order, i] { order.push_back(i); });
  pool.stop();
  ASSERT_EQ(order.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(order[i], i);
}

TEST(ThreadExecutor, RunsTasksAtTheSameTime) {
  ThreadExecutor pool("pool", 3);
  std::latch all_there(3);  // each waits for the others: would hang on fewer threads
  for (int i = 0; i < 3; ++i) pool.post([&] { all_there.arrive_and_wait(); });
  pool.stop();
}

TEST(ThreadExecutor, StopRunsWhatTasksPostAndDropsTimersNotDue) {
  std::atomic<int> ran = 0;
  auto held = std::make_shared<int>(1);
  {
    ThreadExecutor pool("pool", 2);
    pool.post_after(hours(1), [&ran, held] { ran += 1000; });
    pool.post([&] {
      ++ran;
      pool.post([&] {
        ++ran;
        pool.post([&] { ++ran; });
      });
    });
  }
  EXPECT_EQ(ran, 3);
  EXPECT_EQ(held.use_count(), 1);
}

TEST(ThreadExecutor, PostAfterStopDropsTheTask) {
  ThreadExecutor pool("pool", 1);
  pool.stop();
  auto held = std::make_shared<int>(1);
  pool.post([held] { FAIL(); });
  pool.post_after(milliseconds(0), [held] { FAIL(); });
  EXPECT_EQ(held.use_count(), 1);
}

TEST(ThreadExecutor, TimersFireInOrderAndNotEarly) {
  ThreadExecutor pool("pool", 1);
  std::vector<int> order;
  const auto begin = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point last;
  const auto done = pool.make_signal();
  pool.post_after(milliseconds(30), [&] {
    order.push_back(3);
    last = std::chrono::steady_clock::now();
    done->set();
  });
  pool.post_after(milliseconds(10), [&] { order.push_back(1); });
  pool.post_after(milliseconds(20), [&] { order.push_back(2); });
  done->wait();
  pool.stop();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
  EXPECT_GE(last - begin, milliseconds(30));
}

// A thread that watches the clock may be sent to work: another must take over the watch.
TEST(ThreadExecutor, TimerFiresWhileAnotherThreadIsBusy) {
  ThreadExecutor pool("pool", 2);
  const auto fired = pool.make_signal();
  pool.post_after(milliseconds(20), [&] { fired->set(); });
  pool.post([&] { fired->wait(); });
  fired->wait();
  pool.stop();
}

TEST(ThreadExecutor, NamesItsThreadsAndKeepsSignalsFromThem) {
  ThreadExecutor pool("a-very-long-pool-name", 1);
  char name[32] = {};
  bool blocked = false;
  pool.post([&] {
    pthread_getname_np(pthread_self(), name, sizeof name);
    sigset_t set;
    pthread_sigmask(SIG_SETMASK, nullptr, &set);
    blocked = sigismember(&set, SIGTERM) == 1 && sigismember(&set, SIGSEGV) == 0;
  });
  pool.stop();
  EXPECT_STREQ(name, "a-very-long-p-0");
  EXPECT_TRUE(blocked);
}

TEST(ThreadExecutor, ManyPosters) {
  std::atomic<int> ran = 0;
  {
    ThreadExecutor pool("pool", 4);
    std::vector<std::thread> posters;
    for (int t = 0; t < 4; ++t)
      posters.emplace_back([&] {
        for (int i = 0; i < 5000; ++i) {
          if (i % 100 == 0) pool.post_after(milliseconds(0), [&] { ++ran; });
          pool.post([&] { ++ran; });
        }
      });
    for (auto& poster : posters) poster.join();
    const auto last = pool.make_signal();
    pool.post_after(milliseconds(1), [&] { last->set(); });  // timers posted before are due by then
    last->wait();
  }
  EXPECT_EQ(ran, 4 * 5050);
}

TEST(Strand, OneAtATimeInOrderOnManyThreads) {
  ThreadExecutor pool("pool", 4);
  std::vector<int> order;  // no lock: the strand is what protects it
  const auto done = pool.make_signal();
  {
    Strand strand(pool);
    std::vector<int> per_thread;
    for (int i = 0; i < 10'000; ++i) strand.post([&order, i] { order.push_back(i); });
    strand.post([&, strand] {
      EXPECT_TRUE(strand.running_here());
      done->set();
    });
    EXPECT_FALSE(strand.running_here());
  }
  done->wait();
  ASSERT_EQ(order.size(), 10'000u);
  for (int i = 0; i < 10'000; ++i) ASSERT_EQ(order[i], i);
}

TEST(Strand, ManyPostersKeepTheirOrder) {
  std::vector<std::pair<int, int>> seen;
  {
    ThreadExecutor pool("pool", 3);
    Strand strand(pool);
    std::vector<std::thread> posters;
    for (int t = 0; t < 3; ++t)
      posters.emplace_back([&, t] {
        for (int i = 0; i < 2000; ++i) strand.post([&seen, t, i] { seen.emplace_back(t, i); });
      });
    for (auto& poster : posters) poster.join();
  }
  ASSERT_EQ(seen.size(), 6000u);
  int next[3] = {};
  for (const auto& [t, i] : seen) ASSERT_EQ(i, next[t]++);
}

TEST(Strand, TasksOfAStoppedExecutorAreDroppedWithWhatTheyHold) {
  auto held = std::make_shared<int>(1);
  ThreadExecutor pool("pool", 1);
  Strand strand(pool);
  pool.stop();
  strand.post([held, strand] { FAIL(); });
  strand.post_after(milliseconds(0), [held, strand] { FAIL(); });
  EXPECT_EQ(held.use_count(), 1);
}

TEST(Strand, WorksInTheSimulation) {
  SimClock clock;
  SimExecutor queue(clock, 5);
  Strand a(queue);
  Strand b(queue);
  std::vector<int> order_a;
  std::vector<int> order_b;
  for (int i = 0; i < 200; ++i) {
    a.post([&order_a, i] { order_a.push_back(i); });
    b.post([&order_b, i] { order_b.push_back(i); });
  }
  a.post_after(hours(1), [&order_a] { order_a.push_back(200); });
  queue.run_until_idle();
  EXPECT_EQ(order_a.size(), 200u);
  queue.run_for(hours(1));
  ASSERT_EQ(order_a.size(), 201u);
  ASSERT_EQ(order_b.size(), 200u);
  for (int i = 0; i <= 200; ++i) EXPECT_EQ(order_a[i], i);
}

TEST(SimExecutor, SameSeedSameOrderOtherSeedOtherOrder) {
  const auto order_of = [](std::uint64_t seed) {
    SimClock clock;
    SimExecutor queue(clock, seed);
    std::vector<int> order;
    for (int i = 0; i < 50; ++i) queue.post([&order, i] { order.push_back(i); });
    queue.run_until_idle();
    return order;
  };
  EXPECT_EQ(order_of(1), order_of(1));
  EXPECT_NE(order_of(1), order_of(2));
}

TEST(SimExecutor, TimePassesOnlyWhenNothingIsReady) {
  SimClock clock;
  SimExecutor queue(clock, 1);
  const MonotonicTime begin = clock.monotonic();
  std::vector<std::pair<int, MonotonicTime>> fired;
  queue.post_after(hours(2), [&] { fired.emplace_back(2, clock.monotonic()); });
  queue.post_after(hours(1), [&] {
    fired.emplace_back(1, clock.monotonic());
    queue.post_after(milliseconds(5), [&] { fired.emplace_back(3, clock.monotonic()); });
  });
  queue.run_until_idle();
  EXPECT_TRUE(fired.empty());
  queue.run_for(hours(1));
  EXPECT_EQ(fired, (std::vector<std::pair<int, MonotonicTime>>{{1, begin + hours(1)}}));
  const auto signal = queue.make_signal();
  queue.post_after(hours(3), [&] { signal->set(); });
  signal->wait();
  ASSERT_EQ(fired.size(), 3u);
  EXPECT_EQ(fired[1], std::pair(3, begin + hours(1) + milliseconds(5)));
  EXPECT_EQ(fired[2], std::pair(2, begin + hours(2)));
  EXPECT_EQ(clock.monotonic(), begin + hours(4));
}

}  // namespace
}  // namespace tidemill
