#include "consumers/views/sql_account.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <atomic>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "consumers/views/sqlite.h"

namespace tidemill::views {
namespace {

// Somebody who asks for too much is refused; nobody else is, who asks at the same time.
TEST(SqlAccountTest, WhoIsRefusedTakesNothingFromOthers) {
  const SqlBounds before = sql_bounds();
  SqlBounds bounds;
  bounds.files = bounds.files_of_all = 1'000'000;
  set_sql_bounds(bounds);
  SqlAccount account;
  account.begin(nullptr);
  ASSERT_TRUE(account.take_file(1'000));
  std::atomic<bool> done{false};
  std::thread greedy([&] {
    SqlAccount other;
    other.begin(nullptr);
    while (!done) EXPECT_FALSE(other.take_file(999'500));
  });
  int refused = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    if (account.take_file(100)) {
      account.give_file(100);
    } else {
      ++refused;
    }
  }
  done = true;
  greedy.join();
  set_sql_bounds(before);
  EXPECT_EQ(refused, 0);
}

// A temporary file of SQLite's, as it is opened by the pager.
class TempFile {
 public:
  TempFile() : memory_(static_cast<std::size_t>(vfs()->szOsFile) / sizeof(std::max_align_t) + 1) {
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_EXCLUSIVE | SQLITE_OPEN_DELETEONCLOSE |
                SQLITE_OPEN_TEMP_JOURNAL;
    rc = vfs()->xOpen(vfs(), nullptr, file(), flags, &flags);
  }
  ~TempFile() {
    if (file()->pMethods != nullptr) file()->pMethods->xClose(file());
  }
  int write(const std::string& bytes, sqlite3_int64 at) {
    return file()->pMethods->xWrite(file(), bytes.data(), static_cast<int>(bytes.size()), at);
  }
  int truncate(sqlite3_int64 size) { return file()->pMethods->xTruncate(file(), size); }
  sqlite3_int64 size() {
    sqlite3_int64 n = -1;
    file()->pMethods->xFileSize(file(), &n);
    return n;
  }
  int rc = SQLITE_ERROR;

 private:
  static sqlite3_vfs* vfs() { return sqlite3_vfs_find(counting_files()); }
  sqlite3_file* file() { return reinterpret_cast<sqlite3_file*>(memory_.data()); }
  std::vector<std::max_align_t> memory_;
};

TEST(TempFiles, AreCountedAsTheyGrowShrinkAndGo) {
  configure_sqlite();
  const SqlBounds before = sql_bounds();
  SqlBounds bounds;
  bounds.files = 10'000;
  set_sql_bounds(bounds);
  SqlAccount account;
  account.begin(nullptr);
  set_sql_bounds(before);
  const std::string some(4'000, 'a');
  {
    const SqlAccount::Scope scope(account);
    TempFile one, other;
    ASSERT_EQ(one.rc, SQLITE_OK);
    ASSERT_EQ(other.rc, SQLITE_OK);
    EXPECT_EQ(one.write(some, 0), SQLITE_OK);
    EXPECT_EQ(one.write(some, 0), SQLITE_OK);
    EXPECT_EQ(account.files(), 4'000u) << "what is written over what is there is no growth";
    EXPECT_EQ(one.write(some, 2'000), SQLITE_OK);
    EXPECT_EQ(account.files(), 6'000u);
    EXPECT_EQ(other.write(some, 0), SQLITE_OK);
    EXPECT_EQ(account.files(), 10'000u) << "as much as may be";
    EXPECT_EQ(other.write("a", 4'000), SQLITE_FULL);
    EXPECT_EQ(other.size(), 4'000);
    EXPECT_EQ(account.refused(), SqlAccount::Refused::files);
    EXPECT_EQ(one.truncate(1'000), SQLITE_OK);
    EXPECT_EQ(account.files(), 5'000u);
    EXPECT_EQ(one.write(some, 2'000), SQLITE_OK);
    EXPECT_EQ(account.files(), 10'000u);
    EXPECT_EQ(sql_pool().files.load(), 10'000u);
  }
  EXPECT_EQ(account.files(), 0u);
  EXPECT_EQ(account.files_most(), 10'000u);
  EXPECT_EQ(sql_pool().files.load(), 0u);
  TempFile of_nobody;
  EXPECT_EQ(of_nobody.write(some, 0), SQLITE_OK);
  EXPECT_EQ(sql_pool().files.load(), 0u);
}

}  // namespace
}  // namespace tidemill::views
