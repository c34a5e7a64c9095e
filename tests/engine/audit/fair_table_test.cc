#include "engine/audit/fair_table.h"

#include <gtest/gtest.h>

#include <vector>

namespace tidemill {
namespace {

struct FairTableTest : ::testing::Test {
  FairTable<int, int> table{12, 10};
  std::map<std::string, std::size_t> gone;

  // How many of so many come in.
  int fill(const std::string& tenant, int n) {
    int in = 0;
    for (int i = 0; i < n; ++i) {
      const int key = ++keys_[tenant];
      if (!table.room(tenant, [&](const std::string& of, int k, int v) {
            EXPECT_EQ(v, k * 10);
            EXPECT_EQ(table.find(of, k), nullptr);
            ++gone[of];
          }))
        continue;
      table.add(tenant, key) = key * 10;
      ++in;
    }
    return in;
  }
  std::size_t has(const std::string& tenant) { return table.tenants()[tenant].size(); }
  std::map<std::string, int> keys_;
};

TEST_F(FairTableTest, OneTenantHasNoMoreThanOneMay) {
  EXPECT_EQ(fill("a", 20), 10);
  ASSERT_NE(table.find("a", 10), nullptr);
  EXPECT_EQ(*table.find("a", 10), 100);
  EXPECT_EQ(table.find("a", 11), nullptr);
  EXPECT_EQ(table.find("b", 1), nullptr);
}

TEST_F(FairTableTest, WhoHasLessThanAnEqualShareGetsIt) {
  EXPECT_EQ(fill("a", 10), 10);
  EXPECT_EQ(fill("b", 20), 6);
  EXPECT_EQ(has("a"), 6u);
  EXPECT_EQ(has("b"), 6u);
  EXPECT_EQ(fill("a", 5), 0) << "nobody has more than a share";
  EXPECT_EQ(fill("", 20), 4) << "a tenant like the others";
  EXPECT_EQ(has("a"), 4u);
  EXPECT_EQ(has("b"), 4u);
  EXPECT_EQ(gone, (std::map<std::string, std::size_t>{{"a", 6}, {"b", 2}}));
}

TEST_F(FairTableTest, MoreTenantsThanEntries) {
  for (int i = 0; i < 12; ++i) EXPECT_EQ(fill("t" + std::to_string(i), 2), i < 6 ? 2 : 1) << i;
  EXPECT_EQ(fill("late", 1), 0);
  std::size_t all = 0;
  for (const auto& [tenant, entries] : table.take()) {
    EXPECT_EQ(entries.size(), 1u) << tenant;
    all += entries.size();
  }
  EXPECT_EQ(all, 12u);
  EXPECT_TRUE(table.empty());
  EXPECT_EQ(fill("late", 20), 10) << "as if it were new";
}

}  // namespace
}  // namespace tidemill
