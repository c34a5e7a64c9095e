#include "consumers/views/write_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace tidemill::views {
namespace {

// Keys that differ early, late, only in length, and by a zero byte.
std::string some_key(std::mt19937& random) {
  static const std::vector<std::string> beginnings = {"", "a", "abcdefgh", std::string("abcdefg\0", 8), "\xff\xfe"};
  std::string key = beginnings[random() % beginnings.size()];
  while (random() % 2 == 0) key += static_cast<char>(random() % 3);
  return key;
}

TEST(WriteSet, ComesInOrderOfKeysAndThoseOfOneKeyAsTheyCame) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    WriteSet set;
    for (int i = 0; i < 50; ++i)
      random() % 4 == 0 ? set.remove(some_key(random)) : set.put(some_key(random), std::to_string(i));
    std::vector<std::uint32_t> expected(set.size());
    for (std::uint32_t i = 0; i < expected.size(); ++i) expected[i] = i;
    std::stable_sort(expected.begin(), expected.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return set.entry(a).key < set.entry(b).key; });
    EXPECT_EQ(set.in_order(), expected);
  }
}

TEST(WriteSet, WithARangeItStaysAsItCame) {
  WriteSet set;
  set.put("b", "1");
  set.remove_range("a", "c");
  set.put("a", "2");
  EXPECT_EQ(set.in_order(), (std::vector<std::uint32_t>{0, 1, 2}));
  set.clear();
  set.put("b", "1");
  set.put("a", "2");
  EXPECT_EQ(set.in_order(), (std::vector<std::uint32_t>{1, 0}));
}

}  // namespace
}  // namespace tidemill::views
