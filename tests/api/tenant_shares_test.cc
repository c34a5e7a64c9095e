#include "api/turns/tenant_shares.h"

#include <gtest/gtest.h>

#include <vector>

namespace tidemill {
namespace {

TEST(TenantShares, OneTenantCannotTakeAll) {
  auto shares = std::make_shared<TenantShares>(4, 3);
  std::vector<std::shared_ptr<void>> greedy;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(greedy.emplace_back(shares->take("greedy")));
  EXPECT_FALSE(shares->take("greedy"));
  auto modest = shares->take("modest");
  EXPECT_TRUE(modest);
  EXPECT_FALSE(shares->take("third")) << "all are taken";
  greedy.pop_back();
  EXPECT_TRUE(shares->take("third")) << "and given back at once";
  EXPECT_TRUE(shares->take("greedy"));
  shares.reset();
  greedy.clear();  // what is held keeps it
  modest.reset();
}

}  // namespace
}  // namespace tidemill
