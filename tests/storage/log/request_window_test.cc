// The keys that a log remembers, in memory: one window by itself, and many that share a budget.
#include <gtest/gtest.h>

#include "storage/log/pond.h"
#include "storage/log/request_window.h"
#include "tests/storage/log/log_world.h"

namespace tidemill {
namespace {

TEST(RequestWindow, FindsWhatAMapFinds) {
  SimRandom random(5);
  RequestWindow window(100);
  std::vector<std::string> order;
  std::map<std::string, std::uint64_t> answers;
  for (int i = 0; i < 5000; ++i) {
    const std::string key = "k" + std::to_string(random.below(400));
    const bool there = answers.contains(key);
    const RequestIdentity id = LogWorld::identity(key);
    const auto found = window.find(id);
    ASSERT_EQ(found.has_value(), there) << i;
    if (there) {
      ASSERT_EQ(found->first.value(), answers[key]);
      ASSERT_EQ(found->rejected.size(), answers[key] % 3);
    }
    const std::uint64_t first = 1 + static_cast<std::uint64_t>(i);
    const std::vector<RejectedRecord> rejected(first % 3);
    ASSERT_EQ(window.add(id, Sequence(first), 1, rejected), !there);
    if (there) continue;
    answers[key] = first;
    order.push_back(key);
    if (order.size() > 100) {
      answers.erase(order.front());
      order.erase(order.begin());
    }
  }
  EXPECT_EQ(window.size(), 100u);
}

TEST(RequestWindow, MillionKeysFitTheirShare) {
  RequestWindow window(1'000'000);
  for (std::uint64_t i = 0; i < 1'100'000; ++i) {
    RequestIdentity id;
    const std::uint64_t a = mix(i);
    std::memcpy(id.key_hash.data(), &a, sizeof a);
    window.add(id, Sequence(i), 1, {});
  }
  EXPECT_EQ(window.size(), 1'000'000u);
  EXPECT_LE(window.bytes(), 64u << 20);
}

RequestIdentity numbered(std::uint64_t n) {
  RequestIdentity id;
  const std::uint64_t a = mix(n);
  std::memcpy(id.key_hash.data(), &a, sizeof a);
  return id;
}

// Windows of one budget; who is told to give way does so when the test says.
class SharedWindows : public ::testing::Test {
 protected:
  struct Shared {
    RequestWindow window{1'000'000};
    bool told = false;
    std::uint64_t added = 0;
    int gave_way = 0;
  };
  Shared& join(std::uint64_t first_key) {
    Shared& s = *windows.emplace_back(std::make_unique<Shared>());
    s.added = first_key;
    s.window.join(budget.open("s", [&s] { s.told = true; }));
    return s;
  }
  void add(Shared& s, int count) {
    for (int i = 0; i < count; ++i) {
      s.window.add(numbered(s.added++), Sequence(1), 1, {});
      for (auto& other : windows) obey(*other);
      ASSERT_LE(budget.bytes(), budget.bytes_max());
    }
  }
  static void obey(Shared& s) {
    while (std::exchange(s.told, false)) {
      s.window.give_way();
      s.window.gave_way();
      ++s.gave_way;
    }
  }
  // All of the last `count` keys, and how many more.
  static void expect_last(Shared& s, std::uint64_t count) {
    ASSERT_GE(s.window.size(), count);
    for (std::uint64_t i = 1; i <= s.window.size(); ++i) ASSERT_TRUE(s.window.find(numbered(s.added - i))) << i;
    ASSERT_FALSE(s.window.find(numbered(s.added - s.window.size() - 1)));
  }
  RequestBudget budget{256 << 10};
  std::vector<std::unique_ptr<Shared>> windows;
};

TEST_F(SharedWindows, TheLargestGivesWayAndTheOldestKeysGoFirst) {
  Shared& large = join(0);
  add(large, 20'000);
  const std::uint64_t alone = large.window.size();
  EXPECT_GT(alone, 3'000u) << "it may have all of it";
  expect_last(large, alone);
  Shared& small = join(1'000'000);
  add(small, 100);
  expect_last(small, 100);
  expect_last(large, alone / 2);
  add(small, 20'000);
  // Now they are of a size.
  expect_last(small, alone / 3);
  expect_last(large, alone / 3);
}

TEST_F(SharedWindows, SmallOnesKeepAllTheyHave) {
  Shared& large = join(0);
  add(large, 10'000);
  for (std::uint64_t i = 1; i <= 20; ++i) add(join(i * 1'000'000), 60);
  add(large, 10'000);
  for (std::size_t i = 1; i < windows.size(); ++i) expect_last(*windows[i], 60);
}

TEST_F(SharedWindows, ThoseOfASizeLeaveEachOtherAlone) {
  Shared& a = join(0);
  Shared& b = join(1'000'000);
  for (int i = 0; i < 200; ++i) {
    add(a, 100);
    add(b, 100);
  }
  const int so_far = a.gave_way + b.gave_way;
  const std::uint64_t least = std::min(a.window.size(), b.window.size());
  for (int i = 0; i < 200; ++i) {
    add(a, 100);
    add(b, 100);
    expect_last(a, least * 3 / 4);
    expect_last(b, least * 3 / 4);
  }
  EXPECT_LE(a.gave_way + b.gave_way, so_far + 2);
}

TEST_F(SharedWindows, RejectedListsCountAndWhatGoesGivesAllBack) {
  Shared& s = join(0);
  const std::vector<RejectedRecord> rejected(1'000, RejectedRecord{1, 2});
  for (int i = 0; i < 500; ++i) {
    s.window.add(numbered(s.added++), Sequence(1), 1, rejected);
    obey(s);
    if (s.window.size() > 32) {
      ASSERT_LE(budget.bytes(), budget.bytes_max());
    }
    ASSERT_TRUE(s.window.find(numbered(s.added - 1)));
  }
  EXPECT_EQ(budget.bytes(), s.window.bytes());
  windows.clear();
  EXPECT_EQ(budget.bytes(), 0u);
}

// What a start has read is cut back at once.
TEST_F(SharedWindows, AFullWindowThatJoinsTakesItsShareOnly) {
  Shared& first = join(0);
  add(first, 20'000);
  Shared& s = *windows.emplace_back(std::make_unique<Shared>());
  for (int i = 0; i < 20'000; ++i) s.window.add(numbered(1'000'000 + s.added++), Sequence(1), 1, {});
  s.window.join(budget.open("s", [&s] { s.told = true; }));
  for (int i = 0; i < 100; ++i) {
    for (auto& other : windows) obey(*other);
  }
  EXPECT_LE(budget.bytes(), budget.bytes_max());
  EXPECT_GT(s.window.size(), 500u);
  EXPECT_TRUE(s.window.find(numbered(1'019'999)));
  EXPECT_GT(first.window.size(), 500u);
}

TEST(SharedLogs, RememberTheLatestKeysOfEach) {
  LogOptions options;
  options.pond = std::make_shared<Pond>(Pond::Options{.requests_bytes_max = 64 << 10});
  LogWorld loud;
  LogWorld quiet;
  loud.options.pond = quiet.options.pond = options.pond;
  loud.options.name = "loud";
  quiet.options.name = "quiet";
  loud.open();
  quiet.open();
  const auto known = [](LogWorld& w, const std::string& key) {
    TestRequest& r = *w.requests.emplace_back(std::make_unique<TestRequest>());
    r.append.identity = LogWorld::identity(key);
    w.log->append(&r.append);
    w.run();
    return r.append.replayed;
  };
  for (int i = 0; i < 3'000; ++i) {
    loud.send(1, 20, "l" + std::to_string(i));
    if (i % 100 == 99) loud.run();
  }
  for (int i = 0; i < 40; ++i) quiet.append(1, 20, "q" + std::to_string(i));
  loud.run();
  EXPECT_LE(options.pond->requests.bytes(), 64u << 10);
  EXPECT_TRUE(known(loud, "l2999"));
  EXPECT_TRUE(known(loud, "l2700"));
  for (int i = 0; i < 40; ++i) EXPECT_TRUE(known(quiet, "q" + std::to_string(i))) << i;
  for (const auto& use : options.pond->requests.uses()) {
    if (use.name == "quiet") {
      EXPECT_EQ(use.keys, 40u);
    }
    if (use.name == "loud") {
      EXPECT_GT(use.keys, 400u);
    }
  }
  EXPECT_FALSE(known(loud, "l5"));
}

}  // namespace
}  // namespace tidemill
