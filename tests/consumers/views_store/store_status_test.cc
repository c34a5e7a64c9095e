#include "consumers/views/store_status.h"

#include "tests/consumers/views_store/views_world.h"

namespace tidemill::views {
namespace {

TEST(StoreStatus, SaysWhatIsInMemoryAndWhatInFiles) {
  ViewsWorld world;
  world.open();
  Stream& stream = world.stream();
  for (const char* name : {"customers", "invoices"}) {
    ASSERT_TRUE(std::holds_alternative<ViewInfo>(world.views->create(name, std::string("builtin:") + name)));
  }
  const Sequence last = world.put(stream, {R"({"InvoiceNo":"1","CustomerID":"7","Quantity":2,"UnitPrice":1.5})"});
  for (const char* name : {"customers", "invoices"}) world.wait(name, last);
  const StoreStatus before = world.all->store();
  EXPECT_GT(before.memtable_bytes, 0u);
  EXPECT_EQ(before.file_bytes, 0u);
  EXPECT_EQ(before.block_cache_capacity_bytes, 32u << 20);
  world.reopen();
  const StoreStatus after = world.all->store();
  EXPECT_GT(after.file_bytes, 0u) << "closing flushes";
  EXPECT_GT(after.block_cache_bytes, 0u);
  EXPECT_EQ(after.background_errors, 0u);
  EXPECT_FALSE(after.write_stopped || after.write_delayed);
}

TEST(StoreStatus, WhatThereIsOnceIsCountedOnce) {
  RealEnv real;
  const auto database = std::move(*Database::open(real.env, real.directory.path() + "/views", 8 << 20));
  const std::vector<std::shared_ptr<Family>> families = {*database->family("a"), *database->family("b")};
  EXPECT_EQ(store_status(*database).snapshots, 0u);
  const auto one = database->snapshot();
  const auto two = database->snapshot();
  EXPECT_EQ(store_status(*database).snapshots, 2u);
  EXPECT_EQ(store_status(*database).block_cache_capacity_bytes, 8u << 20);
}

}  // namespace
}  // namespace tidemill::views
