#include "engine/data_directory.h"

#include <gtest/gtest.h>

#include "engine/errors.h"
#include "storage/base/errors.h"
#include "tests/support/real_env.h"
#include "tests/support/sim_env.h"

namespace tidemill {
namespace {

struct DataDirectoryTest : ::testing::Test {
  SimEnv sim;

  ErrorCode open() {
    const auto opened = DataDirectory::open(sim.env, "/data");
    return opened ? ErrorCode() : opened.error();
  }
  void write(const std::string& path, const std::string& text) {
    const auto file = sim.files.open(path, OpenMode::open_or_create);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->truncate(0));
    ASSERT_TRUE((*file)->write_at(ByteOffset(0), std::as_bytes(std::span(text))));
  }
  std::string marker() { return sim.files.content("/data/TIDEMILL").value_or(""); }
};

// The example of docs/formats/directory.md.
TEST_F(DataDirectoryTest, GoldenMarkerIsRead) {
  ASSERT_TRUE(create_directories(sim.files, "/data/streams/0"));
  write("/data/TIDEMILL",
        "tidemill data directory\nlayout = 1\ninstance = 0123456789abcdef0123456789abcdef\nchecksum = 1ffc5303\n");
  const auto opened = DataDirectory::open(sim.env, "/data");
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_EQ((*opened)->instance(), "0123456789abcdef0123456789abcdef");
}

TEST_F(DataDirectoryTest, LaterLayoutIsRefusedWhateverElseItSays) {
  ASSERT_TRUE(sim.files.create_directory("/data"));
  write("/data/TIDEMILL", "tidemill data directory\nlayout = 2\nsomething new\n");
  EXPECT_EQ(open(), StorageErrc::layout_too_new);
}

TEST_F(DataDirectoryTest, EveryChangedByteIsNoticed) {
  ASSERT_EQ(open(), ErrorCode());
  const std::string good = marker();
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = bad[i] == '1' ? '0' : '1';
    write("/data/TIDEMILL", bad);
    const ErrorCode error = open();
    EXPECT_TRUE(error == StorageErrc::damaged || error == StorageErrc::layout_too_new) << i;
  }
  for (std::size_t n = 0; n < good.size(); ++n) {
    write("/data/TIDEMILL", good.substr(0, n));
    EXPECT_EQ(open(), StorageErrc::damaged) << n;
  }
}

TEST_F(DataDirectoryTest, ForeignFilesAreLeftAlone) {
  ASSERT_TRUE(sim.files.create_directory("/data"));
  write("/data/.hidden", "x");
  ASSERT_TRUE(sim.files.create_directory("/data/lost+found"));
  ASSERT_EQ(open(), ErrorCode());
  ASSERT_TRUE(sim.files.remove("/data/TIDEMILL"));
  EXPECT_EQ(open(), EngineErrc::not_a_data_directory);  // "archive" stands first
  write("/data/streams/0/x.seg", "");
  EXPECT_EQ(open(), StorageErrc::damaged);  // streams without the marker, whatever stands before them
  EXPECT_EQ(marker(), "");
  ASSERT_TRUE(sim.files.create_directory("/other"));
  write("/other/letter", "x");
  EXPECT_EQ(DataDirectory::open(sim.env, "/other").error(), EngineErrc::not_a_data_directory);
  EXPECT_EQ(sim.files.list("/other")->size(), 1u);  // not even a lock was made
}

// Made anew it would have no keys, and the server would be open to everybody.
TEST_F(DataDirectoryTest, AMissingSystemStreamIsRefused) {
  ASSERT_EQ(open(), ErrorCode());
  EXPECT_EQ(open(), ErrorCode());  // cut short before the log was made
  write("/data/streams/0/1.seg", "");
  ASSERT_TRUE(sim.files.create_directory("/data/streams/1"));
  EXPECT_EQ(open(), ErrorCode());
  ASSERT_TRUE(sim.files.remove("/data/streams/0/1.seg"));
  EXPECT_EQ(open(), StorageErrc::damaged) << "its segments are gone, and another stream came after them";
  ASSERT_TRUE(sim.files.remove("/data/streams/1"));
  ASSERT_TRUE(sim.files.remove("/data/streams/0"));
  EXPECT_EQ(open(), StorageErrc::damaged);
  EXPECT_FALSE(exists(sim.files, "/data/streams/0")) << "refused, and made all the same";
}

// Also where no other stream tells: what is only made after the system stream's first segment does.
TEST_F(DataDirectoryTest, AnEmptiedSystemStreamIsNoFirstStart) {
  ASSERT_EQ(open(), ErrorCode());
  ASSERT_EQ(open(), ErrorCode()) << "cut short before the log was made";
  for (const char* made : {"/data/instance.key", "/data/views/CURRENT", "/data/archive/retail", "/data/views.bases"}) {
    write(made, "");
    EXPECT_EQ(open(), StorageErrc::damaged) << made;
    ASSERT_TRUE(sim.files.remove(made));
    ASSERT_EQ(open(), ErrorCode());
  }
}

// A first start was killed before it had synced the names that it made, and the power fails after the next one.
TEST_F(DataDirectoryTest, AMarkerThatOutlivesAPowerCutHasItsSystemStream) {
  for (const char* name : {"/data", "/data/streams", "/data/streams/0"}) ASSERT_TRUE(sim.files.create_directory(name));
  write("/data/lock", "");
  ASSERT_TRUE(sim.files.sync_directory("/"));
  ASSERT_EQ(open(), ErrorCode());
  sim.crash({.writes = CrashPolicy::Keep::none, .names = CrashPolicy::Keep::none});
  ASSERT_NE(marker(), "");
  EXPECT_EQ(open(), ErrorCode());
}

TEST_F(DataDirectoryTest, LockIsHeldAsLongAsItLives) {
  {
    const auto first = DataDirectory::open(sim.env, "/data");
    ASSERT_TRUE(first);
    EXPECT_EQ(open(), StorageErrc::directory_in_use);
  }
  EXPECT_EQ(open(), ErrorCode());
}

TEST_F(DataDirectoryTest, PowerCutAnywhereInTheFirstStartIsHarmless) {
  for (std::uint64_t cut = 1;; ++cut) {
    SimEnv world(cut);
    world.files.cut_at_step(cut);
    std::string instance;
    {
      const auto first = DataDirectory::open(world.env, "/some/data");
      if (first) instance = (*first)->instance();
    }
    const bool done = world.files.powered();
    world.crash();
    const auto second = DataDirectory::open(world.env, "/some/data");
    ASSERT_TRUE(second) << "cut at step " << cut << ": " << second.error().message();
    EXPECT_TRUE(instance.empty() || (*second)->instance() == instance);
    if (done) break;
    ASSERT_LT(cut, 1000u);
  }
}

TEST(DataDirectoryOnDisk, WorksOnARealDisk) {
  RealEnv real;
  std::string instance;
  {
    const auto opened = DataDirectory::open(real.env, real.directory / "deep/data");
    ASSERT_TRUE(opened) << opened.error().message();
    instance = (*opened)->instance();
    EXPECT_EQ(DataDirectory::open(real.env, real.directory / "deep/data").error(), StorageErrc::directory_in_use);
  }
  const auto again = DataDirectory::open(real.env, real.directory / "deep/data");
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->instance(), instance);
}

}  // namespace
}  // namespace tidemill
