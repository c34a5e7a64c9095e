#include "tests/support/sim_file_system.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>

#include "storage/base/errors.h"
#include "tests/support/real_env.h"
#include "tests/support/sim_disk.h"
#include "tests/support/sim_env.h"

namespace tidemill {
namespace {

using Keep = CrashPolicy::Keep;
using Fill = CrashPolicy::Fill;

class SimDisk : public ::testing::Test {
 protected:
  explicit SimDisk(std::uint64_t seed = 1) : fs(seed) {}
  SimFileSystem fs;

  std::unique_ptr<File> open(const std::string& path) {
    auto file = fs.open(path, OpenMode::open_or_create);
    EXPECT_TRUE(file);
    return file ? std::move(*file) : nullptr;
  }
  static Result<void> put(File& file, std::uint64_t offset, std::string_view text) {
    return file.write_at(ByteOffset(offset), std::as_bytes(std::span(text)));
  }
  void durable_file(const std::string& path, std::string_view text) {
    const auto file = open(path);
    ASSERT_TRUE(put(*file, 0, text));
    ASSERT_TRUE(file->sync_data());
    ASSERT_TRUE(fs.sync_directory("/"));
  }
};

TEST_F(SimDisk, WhatWasSyncedSurvivesEveryPolicy) {
  for (const Keep writes : {Keep::none, Keep::all, Keep::prefix, Keep::any, Keep::random})
    for (const Keep names : {Keep::none, Keep::all, Keep::prefix, Keep::any, Keep::random}) {
      durable_file("/f", "synced");
      fs.crash({writes, names, Fill::random});
      EXPECT_EQ(fs.content("/f"), "synced");
    }
}

TEST_F(SimDisk, ASyncedFileWithoutItsNameIsLost) {
  const auto file = open("/f");
  ASSERT_TRUE(put(*file, 0, "bytes"));
  ASSERT_TRUE(file->sync_data());
  fs.crash({Keep::all, Keep::none});
  EXPECT_EQ(fs.all_files().size(), 0u);
}

TEST_F(SimDisk, ANameWithoutItsBytesIsKept) {
  const auto file = open("/f");
  ASSERT_TRUE(put(*file, 0, "bytes"));
  ASSERT_TRUE(fs.sync_directory("/"));
  fs.crash({Keep::none, Keep::none});
  EXPECT_EQ(fs.content("/f"), "");
}

TEST_F(SimDisk, SectorsAreOldOrNewAndComeInAnyMix) {
  std::set<std::string> mixes;
  for (int i = 0; i < 200; ++i) {
    durable_file("/f", std::string(4 * kSector, 'o'));
    ASSERT_TRUE(put(*open("/f"), 0, std::string(4 * kSector, 'n')));
    fs.crash({Keep::any, Keep::all});
    const std::string bytes = *fs.content("/f");
    ASSERT_EQ(bytes.size(), 4 * kSector);
    std::string mix;
    for (int s = 0; s < 4; ++s) {
      const std::string sector = bytes.substr(s * kSector, kSector);
      ASSERT_EQ(sector, std::string(kSector, sector[0]));
      mix += sector[0];
    }
    mixes.insert(mix);
  }
  EXPECT_EQ(mixes.size(), 16u);
}

TEST_F(SimDisk, APrefixIsKeptInOrderWithATornEnd) {
  std::set<std::size_t> lengths;
  for (int i = 0; i < 100; ++i) {
    durable_file("/f", "");
    const auto file = open("/f");
    ASSERT_TRUE(file->truncate(0));
    ASSERT_TRUE(file->sync_data());
    for (int w = 0; w < 5; ++w) ASSERT_TRUE(put(*file, w * kSector, std::string(kSector, static_cast<char>('a' + w))));
    fs.crash({Keep::prefix, Keep::all, Fill::zeros});
    const std::string bytes = *fs.content("/f");
    std::size_t whole = 0;
    while (whole < 5 && bytes.size() >= (whole + 1) * kSector && bytes[whole * kSector] != '\0') ++whole;
    for (std::size_t at = whole * kSector; at < bytes.size(); ++at) ASSERT_EQ(bytes[at], '\0');
    lengths.insert(whole);
  }
  EXPECT_EQ(lengths.size(), 6u);
}

TEST_F(SimDisk, GrownSectorsMayHoldStaleBytes) {
  durable_file("/old", std::string(4096, 'S'));
  ASSERT_TRUE(fs.remove("/old"));
  bool stale = false;
  bool zeros = false;
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(put(*open("/f" + std::to_string(i)), 0, std::string(4096, 'n')));
    ASSERT_TRUE(fs.sync_directory("/"));
    fs.crash({Keep::any, Keep::all, Fill::random});
    const std::string bytes = *fs.content("/f" + std::to_string(i));
    stale = stale || bytes.find('S') != std::string::npos;
    zeros = zeros || bytes.find('\0') != std::string::npos;
  }
  EXPECT_TRUE(stale);
  EXPECT_TRUE(zeros);
}

TEST_F(SimDisk, UnsyncedNamesAreLostOrKeptWholeRenamesToo) {
  std::set<std::string> seen;
  for (int i = 0; i < 200; ++i) {
    durable_file("/a", "A");
    durable_file("/b", "B");
    ASSERT_TRUE(fs.rename("/a", "/b"));
    open("/c");
    ASSERT_TRUE(fs.remove("/c"));
    open("/d");
    fs.crash({Keep::all, Keep::any});
    std::string state;
    for (const auto& path : fs.all_files()) state += path + *fs.content(path);
    seen.insert(state);
    for (const auto& path : fs.all_files()) ASSERT_TRUE(fs.remove(path));
    ASSERT_TRUE(fs.sync_directory("/"));
  }
  EXPECT_EQ(seen, (std::set<std::string>{"/aA/bB", "/aA/bB/c", "/aA/bB/d", "/aA/bB/c/d", "/bA", "/bA/c", "/bA/d",
                                         "/bA/c/d"}));
}

TEST_F(SimDisk, SyncingADirectoryKeepsItsNamesAndRenamesIntoIt) {
  ASSERT_TRUE(fs.create_directory("/x"));
  ASSERT_TRUE(fs.create_directory("/y"));
  ASSERT_TRUE(fs.sync_directory("/"));
  open("/x/f");
  open("/x/g");
  ASSERT_TRUE(fs.rename("/x/f", "/y/f"));
  ASSERT_TRUE(fs.sync_directory("/y"));
  fs.crash({Keep::none, Keep::none});
  EXPECT_EQ(fs.all_files(), (std::vector<std::string>{"/y/f"}));
}

TEST_F(SimDisk, AFailedSyncLosesBytesThatTheCacheStillShows) {
  bool lost = false;
  bool kept = false;
  for (int i = 0; i < 50; ++i) {
    durable_file("/f", "old");
    const auto file = open("/f");
    ASSERT_TRUE(put(*file, 0, "new"));
    fs.fail({.op = DiskOp::sync_data});
    EXPECT_FALSE(file->sync_data());
    EXPECT_EQ(fs.content("/f"), "new");
    EXPECT_TRUE(file->sync_data());  // succeeds and saves nothing
    fs.drop_caches();
    lost = lost || fs.content("/f") == "old";
    kept = kept || fs.content("/f") == "new";
    fs.crash({Keep::all, Keep::all});
  }
  EXPECT_TRUE(lost);
  EXPECT_TRUE(kept);
}

TEST_F(SimDisk, AFailingWriteLeavesAPart) {
  const auto file = open("/f");
  fs.fail({.op = DiskOp::write, .path_contains = "/f", .nth = 2, .error = ENOSPC, .partial = 3});
  EXPECT_TRUE(put(*file, 0, "12345"));
  const auto failed = put(*file, 5, "67890");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().value(), ENOSPC);
  EXPECT_EQ(fs.content("/f"), "12345678");
  EXPECT_TRUE(put(*file, 5, "67890"));
  EXPECT_EQ(fs.faults_hit(), 1u);
}

TEST_F(SimDisk, FullDiskTakesAPartAndRecoversWhenSomethingGoes) {
  fs.set_capacity(10);
  const auto file = open("/f");
  ASSERT_TRUE(put(*file, 0, "12345678"));
  const auto failed = put(*file, 8, "9abc");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().value(), ENOSPC);
  EXPECT_EQ(fs.used(), 10u);
  EXPECT_TRUE(put(*file, 0, "0123456789"));  // what is there may be overwritten
  open("/g");
  EXPECT_FALSE(put(*open("/g"), 0, "x"));
  ASSERT_TRUE(fs.remove("/f"));
  EXPECT_TRUE(put(*open("/g"), 0, "x"));
}

TEST_F(SimDisk, CutAtEachStep) {
  // The scenario has five steps; cut in each of them, the step fails, all after it too, and it may have happened.
  for (std::uint64_t cut = 1; cut <= 6; ++cut) {
    SimFileSystem disk(cut);
    disk.cut_at_step(cut);
    const auto scenario = [&]() -> Result<void> {
      ASSIGN_OR_RETURN(const auto file, disk.open("/f", OpenMode::create));
      RETURN_IF_ERROR(put(*file, 0, "a"));
      RETURN_IF_ERROR(file->sync_data());
      RETURN_IF_ERROR(disk.rename("/f", "/g"));
      return disk.sync_directory("/");
    };
    const auto result = scenario();
    EXPECT_EQ(result.has_value(), cut == 6);
    EXPECT_EQ(disk.powered(), cut == 6);
    EXPECT_EQ(disk.steps(), std::min<std::uint64_t>(cut, 5));
    disk.crash({Keep::all, Keep::all});
    EXPECT_EQ(disk.content(cut >= 4 ? "/g" : "/f"), cut == 1 ? "" : "a");
  }
}

TEST_F(SimDisk, FilesAndLocksOfADeadProcessAreDead) {
  durable_file("/f", "abc");
  const auto file = open("/f");
  auto lock = fs.lock("/lock");
  ASSERT_TRUE(lock);
  fs.kill();
  EXPECT_FALSE(put(*file, 0, "x"));
  EXPECT_FALSE(file->sync_data());
  auto again = fs.lock("/lock");
  EXPECT_TRUE(again);
  lock->reset();  // the dead one's end does not free the new one
  EXPECT_FALSE(fs.lock("/lock"));
  EXPECT_EQ(fs.content("/f"), "abc");
}

TEST_F(SimDisk, DirectoriesOfAKilledProcessAreMadeDurable) {
  ASSERT_TRUE(fs.create_directory("/a"));
  ASSERT_TRUE(fs.create_directory("/a/b"));
  fs.kill();
  ASSERT_TRUE(create_directories_below(fs, "/", "a/b/c"));
  fs.crash({Keep::none, Keep::none});
  EXPECT_TRUE(exists(fs, "/a/b/c"));
}

TEST_F(SimDisk, ADirectoryThatCouldNotBeSyncedIsNotTakenForDurable) {
  fs.fail({.op = DiskOp::sync_directory});
  EXPECT_FALSE(create_directories(fs, "/a/b"));
  ASSERT_TRUE(create_directories(fs, "/a/b"));
  fs.crash({Keep::none, Keep::none});
  EXPECT_TRUE(exists(fs, "/a/b"));
}

TEST_F(SimDisk, DamageIsOnDiskAtOnce) {
  durable_file("/f", "abc");
  ASSERT_TRUE(fs.flip_bit("/f", 1, 0));
  fs.crash({Keep::none, Keep::none});
  EXPECT_EQ(fs.content("/f"), "acc");
  ASSERT_TRUE(fs.overwrite("/f", 0, "XY"));
  ASSERT_TRUE(fs.cut_file("/f", 2));
  fs.crash({Keep::none, Keep::none});
  EXPECT_EQ(fs.content("/f"), "XY");
}

TEST_F(SimDisk, SameSeedSameRuin) {
  const auto ruin = [](std::uint64_t seed) {
    SimFileSystem disk(seed);
    for (int i = 0; i < 5; ++i) {
      auto file = disk.open("/f" + std::to_string(i), OpenMode::create);
      EXPECT_TRUE(put(**file, 0, std::string(5000, 'x')));
    }
    disk.crash();
    std::string state;
    for (const auto& path : disk.all_files()) state += path + *disk.content(path);
    return state;
  };
  EXPECT_EQ(ruin(7), ruin(7));
  std::set<std::string> ruins;
  for (std::uint64_t seed = 0; seed < 20; ++seed) ruins.insert(ruin(seed));
  EXPECT_GT(ruins.size(), 5u);
}

TEST_F(SimDisk, HookSeesEachStepFirst) {
  std::vector<std::string> seen;
  fs.on_step([&](const DiskStep& step) { seen.push_back(step.path + " " + fs.content("/f").value_or("none")); });
  const auto file = open("/f");
  ASSERT_TRUE(put(*file, 0, "a"));
  EXPECT_EQ(seen, (std::vector<std::string>{"/f none", "/f "}));
}

TEST(Envs, RealAndSimulatedRunTheSameCode) {
  const auto use = [](Env& env, const std::string& root) {
    const auto done = env.flush.make_signal();
    env.flush.post([&] {
      ASSERT_TRUE(create_directories(env.files, root + "/a/b"));
      env.background.post_after(std::chrono::milliseconds(1), [&] { done->set(); });
    });
    done->wait();
    EXPECT_TRUE(exists(env.files, root + "/a/b"));
    EXPECT_NE(env.random.next(), env.random.next());
    EXPECT_GT(env.clock.wall().time_since_epoch().count(), 0);
  };
  RealEnv real;
  use(real.env, real.directory.path());
  SimEnv sim(3);
  use(sim.env, "/data");
}

// A disk that cannot say must not be taken for one that says no.
TEST(SimFileSystem, WhatCannotBeLookedUpIsNoAbsence) {
  SimFileSystem fs(1);
  ASSERT_TRUE(fs.create_directory("/a"));
  EXPECT_EQ(*is_there(fs, "/a"), true);
  EXPECT_EQ(*is_there(fs, "/b"), false);
  fs.power_off();
  EXPECT_FALSE(exists(fs, "/a"));
  ASSERT_FALSE(is_there(fs, "/a"));
  EXPECT_EQ(is_there(fs, "/a").error().value(), EIO);
}

// The write says yes, the next flush says no, and what comes after that is as if nothing had been.
TEST(SimFileSystem, LateFailureIsTheNextFlushs) {
  SimFileSystem fs(1);
  auto file = fs.open("/f", OpenMode::create);
  ASSERT_TRUE(file);
  fs.fail({.op = DiskOp::write, .path_contains = "/f", .late = true});
  const std::string text(4096, 'x');
  ASSERT_TRUE((*file)->write_at(ByteOffset(0), std::as_bytes(std::span(text))));
  EXPECT_EQ(*fs.content("/f"), text);
  EXPECT_FALSE((*file)->sync_data());
  EXPECT_TRUE((*file)->sync_data());
  EXPECT_NE(*fs.durable_content("/f"), text);
}

}  // namespace
}  // namespace tidemill
