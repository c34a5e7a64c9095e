#include "api/turns/tenant_queue.h"

#include <gmock/gmock.h>

#include <deque>

namespace tidemill {
namespace {

using ::testing::ElementsAre;

// Threads that do nothing by themselves: what was handed to them runs when the test says so.
struct Threads final : Executor {
  std::deque<Task> tasks;
  void post(Task task) override { tasks.push_back(std::move(task)); }
  void post_after(std::chrono::nanoseconds, Task task) override { post(std::move(task)); }
  void run_one() {
    ASSERT_FALSE(tasks.empty());
    const Task task = std::move(tasks.front());
    tasks.pop_front();
    task();
  }
  void run_all() {
    while (!tasks.empty()) run_one();
  }
};

struct TenantQueueTest : ::testing::Test {
  Threads threads;
  std::vector<std::string> ran;
  Task says(std::string what) {
    return [this, what = std::move(what)] { ran.push_back(what); };
  }
};

TEST_F(TenantQueueTest, WhoHasAHundredWaitingDoesNotHoldUpAnother) {
  TenantQueue queue(threads, {.at_work = 3, .at_work_of_one = 2, .waiting_of_one = 256});
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(queue.post("a", says("a")));
  ASSERT_EQ(threads.tasks.size(), 2u) << "the third thread is the others'";
  ASSERT_TRUE(queue.post("b", says("b")));
  ASSERT_EQ(threads.tasks.size(), 3u) << "it is b's at once, though nothing of a's has ended";
  threads.tasks.back()();
  EXPECT_THAT(ran, ElementsAre("b"));
}

TEST_F(TenantQueueTest, TenantsTakeTurns) {
  TenantQueue queue(threads, {.at_work = 1, .at_work_of_one = 1, .waiting_of_one = 256});
  for (const char* task : {"a1", "a2", "a3", "b1", "b2", "c1"})
    ASSERT_TRUE(queue.post(std::string(1, task[0]), says(task)));
  ASSERT_EQ(threads.tasks.size(), 1u);
  threads.run_all();
  EXPECT_THAT(ran, ElementsAre("a1", "a2", "b1", "c1", "a3", "b2"));
}

TEST_F(TenantQueueTest, WhatIsTooMuchIsRefusedAndNobodyElseIs) {
  TenantQueue queue(threads, {.at_work = 1, .at_work_of_one = 1, .waiting_of_one = 2});
  ASSERT_TRUE(queue.post("a", says("a1")));  // at work
  ASSERT_TRUE(queue.post("a", says("a2")));
  ASSERT_TRUE(queue.post("a", says("a3")));
  EXPECT_FALSE(queue.post("a", says("a4")));
  EXPECT_TRUE(queue.post("b", says("b1")));
  queue.go_on("a", says("a5"));  // the rest of one that was taken
  threads.run_all();
  EXPECT_THAT(ran, ElementsAre("a1", "a2", "b1", "a3", "a5"));
  EXPECT_TRUE(queue.post("a", says("a6")));
}

TEST_F(TenantQueueTest, WhatIsUnderWayOutlivesIt) {
  {
    TenantQueue queue(threads, {.at_work = 1, .at_work_of_one = 1, .waiting_of_one = 8});
    ASSERT_TRUE(queue.post("a", says("a1")));
    ASSERT_TRUE(queue.post("a", says("a2")));
  }
  threads.run_all();
  EXPECT_THAT(ran, ElementsAre("a1", "a2"));
}

TEST_F(TenantQueueTest, OneThreadIsLeftToOthers) {
  for (const std::size_t n : {1, 2, 3, 4, 64}) {
    const auto limits = TenantQueue::of_threads(n);
    EXPECT_GE(limits.at_work_of_one, 1u);
    EXPECT_LE(limits.at_work, std::max<std::size_t>(n, 2) - 1);
    if (n >= 3) {
      EXPECT_LT(limits.at_work_of_one, limits.at_work);
    }
  }
}

}  // namespace
}  // namespace tidemill
