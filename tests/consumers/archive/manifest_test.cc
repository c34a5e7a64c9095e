#include "consumers/archive/manifest.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "storage/base/errors.h"
#include "storage/base/hash.h"
#include "tests/consumers/archive/archive_fixture.h"
#include "tests/support/capture_logger.h"
#include "tests/support/sim_env.h"
#include "tests/support/source_tree.h"

namespace tidemill::archive {
namespace {

const std::string kRoot = "/archive";
const std::string kPath = kRoot + "/manifest";

// The example of docs/formats/archive-manifest.md.
constexpr std::uint64_t kSalt = 0x0123456789abcdef;
const std::vector<ManifestLine> kExample{
    HeaderLine{1, StreamId(7), "retail", kSalt},
    FileLine{"s0003", Sequence(1), Sequence(42), Sequence(60), 20, 4711, 0xfedcba9876543210,
             "2026/01/02/03/retail-s0003-20260102T030405Z-00000000000000000001.txt"},
    LostLine{"s0003", Sequence(61), Sequence(75)},
    SeenLine{"s0001", Sequence(75)},
};

TEST(ManifestFormat, TheExampleOfThePage) {
  std::ifstream page(source_tree() + "/docs/formats/archive-manifest.md");
  std::stringstream text;
  text << page.rdbuf();
  std::string example;
  for (std::size_t i = 0; i < kExample.size(); ++i) example += encode(i, kExample[i], i == 0 ? 0 : kSalt);
  EXPECT_NE(text.str().find(example), std::string::npos) << "the page should hold:\n" << example;
}

TEST(ManifestFormat, ReadsWhatItWrites) {
  for (const auto& line : kExample) {
    const std::string text = encode(12, line, kSalt);
    const auto read = decode(std::string_view(text).substr(0, text.size() - 1), kSalt);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->number, 12u);
    EXPECT_EQ(read->line, line);
    EXPECT_FALSE(decode(std::string_view(text).substr(0, text.size() - 1), kSalt + 1));
  }
}

TEST(ManifestFormat, EveryFlippedBitAndEveryCutIsSeen) {
  const std::string text = encode(12, kExample[1], kSalt);
  const std::string line = text.substr(0, text.size() - 1);
  for (std::size_t i = 0; i < line.size(); ++i) {
    EXPECT_FALSE(decode(line.substr(0, i), kSalt));
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = line;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      EXPECT_FALSE(decode(flipped, kSalt)) << i << " " << bit;
    }
  }
}

TEST(ManifestFormat, NonsenseWithARightChecksumIsRefused) {
  for (const char* text : {"", "1", "1 file", "1 file s0003 1 2 3 4 5 6 p", "x seen s0001 5", "1 seen s0001 -5",
                           "1 seen s0001 5 6", "1 seen s0001 99999999999999999999", "1 what s0001 5"}) {
    char hash[20];
    std::snprintf(hash, sizeof hash, "%016llx ", static_cast<unsigned long long>(xxh3(text, kSalt)));
    EXPECT_FALSE(decode(std::string(hash) + text, kSalt)) << text;
  }
}

class ManifestFile : public ::testing::Test {
 protected:
  CaptureLogger logger;
  SimEnv sim{1, logger};
  StreamDefinition stream = test_stream(2);

  ManifestFile() { EXPECT_TRUE(create_directories(sim.files, kRoot)); }
  Result<Manifest::Opened> try_open() {
    return Manifest::open(sim.env, kRoot, stream, {{"s0000", kSequenceMax}, {"s0001", kSequenceMax}});
  }
  std::unique_ptr<Manifest> open() {
    auto opened = try_open();
    EXPECT_TRUE(opened) << opened.error().message();
    return opened ? std::move(opened->manifest) : nullptr;
  }
  static ManifestLine file_line(const std::string& unit, std::uint64_t n) {
    return FileLine{unit, Sequence(n), Sequence(n), Sequence(n), 1, 100, n, "f" + std::to_string(n)};
  }
  // Appends so many lines, to the two units by turns; gives the file's length after each.
  std::vector<std::uint64_t> append(Manifest& manifest, std::uint64_t first, std::uint64_t last) {
    std::vector<std::uint64_t> ends;
    for (std::uint64_t n = first; n <= last; ++n) {
      EXPECT_TRUE(manifest.append(file_line(n % 2 == 0 ? "s0000" : "s0001", n)));
      ends.push_back(sim.files.content(kPath)->size());
    }
    return ends;
  }
};

TEST_F(ManifestFile, TheLastLineOfAUnitCounts) {
  {
    const auto manifest = open();
    EXPECT_EQ(manifest->units(), 0u);
    EXPECT_EQ(manifest->found("s0000").through, Sequence(0));
    append(*manifest, 1, 5);
    ASSERT_TRUE(manifest->append(SeenLine{"s0000", Sequence(9)}));
    sim.crash({CrashPolicy::Keep::none, CrashPolicy::Keep::none});
  }
  const auto manifest = open();
  EXPECT_EQ(manifest->found("s0001").through, Sequence(5));
  ASSERT_TRUE(manifest->found("s0001").last_file);
  EXPECT_EQ(ManifestLine(*manifest->found("s0001").last_file), file_line("s0001", 5));
  EXPECT_EQ(manifest->found("s0000").through, Sequence(9));
  EXPECT_FALSE(manifest->found("s0000").last_file);
}

TEST_F(ManifestFile, ATornTailIsDroppedWhereverItIsTorn) {
  const auto ends = append(*open(), 1, 4);
  const std::string whole = *sim.files.content(kPath);
  for (std::uint64_t size = ends[2] + 1; size < ends[3]; ++size) {
    ASSERT_TRUE(sim.files.overwrite(kPath, 0, whole));
    ASSERT_TRUE(sim.files.cut_file(kPath, size));
    const auto manifest = open();
    EXPECT_EQ(manifest->found("s0001").through, Sequence(3));
    EXPECT_EQ(manifest->found("s0000").through, Sequence(2));
    EXPECT_EQ(sim.files.content(kPath)->size(), ends[2]);
  }
  EXPECT_GT(logger.count("warning: dropped the torn last line"), 50u);
  EXPECT_EQ(logger.count("offset=" + std::to_string(ends[2])), ends[3] - ends[2] - 1);
  append(*open(), 4, 4);
  EXPECT_EQ(*sim.files.content(kPath), whole);
}

TEST_F(ManifestFile, AStaleLineOfBeforeInTheTornTailIsNotBelieved) {
  const auto ends = append(*open(), 1, 4);
  const std::string whole = *sim.files.content(kPath);
  ASSERT_TRUE(sim.files.overwrite(kPath, whole.size(), "torn\n" + whole.substr(ends[0], ends[1] - ends[0])));
  const auto manifest = open();
  EXPECT_EQ(manifest->found("s0000").through, Sequence(4));
  EXPECT_EQ(*sim.files.content(kPath), whole);
}

TEST_F(ManifestFile, ADamagedLineInTheMiddleIsNamedAndPassedWhenAllHaveSpokenSince) {
  const auto ends = append(*open(), 1, 8);
  ASSERT_TRUE(sim.files.flip_bit(kPath, ends[3] + 30, 3));
  const auto manifest = open();
  EXPECT_EQ(manifest->found("s0000").through, Sequence(8));
  EXPECT_EQ(manifest->found("s0001").through, Sequence(7));
  EXPECT_EQ(logger.count("error: a line of the archive's manifest is damaged stream=retail file=/archive/manifest "
                         "offset=" +
                         std::to_string(ends[3])),
            1u);
  EXPECT_EQ(logger.count("remedy"), 0u);  // it goes on
}

TEST_F(ManifestFile, ADamagedLineThatMayHaveBeenAUnitsLastStopsTheArchive) {
  const auto ends = append(*open(), 1, 8);
  ASSERT_TRUE(sim.files.flip_bit(kPath, ends[5] + 30, 3));  // line 7; only line 8, of the other unit, comes after it
  const auto manifest = try_open();
  ASSERT_FALSE(manifest);
  EXPECT_EQ(manifest.error(), StorageErrc::damaged);
  EXPECT_EQ(logger.count("offset=" + std::to_string(ends[5])), 1u);
  EXPECT_EQ(logger.count("remedy=restore the archive's directory as a whole from a backup, or move it away"), 1u);
}

TEST_F(ManifestFile, ADamagedHeaderIsNamed) {
  append(*open(), 1, 2);
  ASSERT_TRUE(sim.files.flip_bit(kPath, 20, 0));
  const auto manifest = try_open();
  ASSERT_FALSE(manifest);
  EXPECT_EQ(manifest.error(), StorageErrc::damaged);
  EXPECT_EQ(logger.count("offset=0"), 1u);
  EXPECT_EQ(logger.count("remedy=restore the archive's directory as a whole from a backup, or move it away"), 1u);
}

TEST_F(ManifestFile, OfAnEarlierStreamOfThatNameIsNotTouched) {
  append(*open(), 1, 3);
  const std::string old = *sim.files.content(kPath);
  stream.id = StreamId(8);
  const auto opened = try_open();
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->other_stream, StreamId(7));
  EXPECT_EQ(opened->manifest, nullptr);
  EXPECT_EQ(sim.files.content(kPath), old);
}

TEST_F(ManifestFile, MissingBesideTextFilesIsNotTakenForANewArchive) {
  append(*open(), 1, 3);
  ASSERT_TRUE(create_directories(sim.files, kRoot + "/2026/01/02/03"));
  ASSERT_TRUE(open());
  ASSERT_TRUE(sim.files.remove(kPath));
  const auto missing = try_open();
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error(), StorageErrc::damaged);
  EXPECT_EQ(logger.count("the archive's manifest is missing, and there are text files stream=retail"), 1u);
  ASSERT_TRUE(remove_tree(sim.files, kRoot + "/2026"));
  EXPECT_EQ(open()->units(), 0u);
}

TEST_F(ManifestFile, OfALaterVersionIsRefused) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(sim.files.cut_file(kPath, 0));
  ASSERT_TRUE(sim.files.overwrite(kPath, 0, encode(0, HeaderLine{2, stream.id, stream.name, 5}, 0)));
  const auto manifest = try_open();
  ASSERT_FALSE(manifest);
  EXPECT_EQ(manifest.error(), StorageErrc::layout_too_new);
}

TEST_F(ManifestFile, AfterAFailedFlushItGoesOnInACopy) {
  for (int i = 0; i < 20; ++i) {
    const auto manifest = open();
    append(*manifest, 10 * i + 1, 10 * i + 2);
    sim.files.fail({.op = DiskOp::sync_data, .path_contains = "manifest"});
    const auto line = file_line("s0001", 10 * i + 3);
    EXPECT_FALSE(manifest->append(line));
    ASSERT_TRUE(manifest->append(line));
    append(*manifest, 10 * i + 4, 10 * i + 4);
    sim.files.drop_caches();
    EXPECT_EQ(open()->found("s0001").through, Sequence(10 * i + 3));
    sim.crash({CrashPolicy::Keep::none, CrashPolicy::Keep::none});
    EXPECT_EQ(open()->found("s0000").through, Sequence(10 * i + 4));
  }
  EXPECT_EQ(logger.count("damaged"), 0u);
}

// A line that is in the cache only, for its flush failed or never came: what a start says of it a power cut right after
// must not take back, however many flushes of that start fail first.
TEST_F(ManifestFile, WhatAStartFindsIsOnDiskHoweverManyFlushesFailedBefore) {
  for (const bool flush_failed : {true, false}) {
    for (int starts_that_fail = 0; starts_that_fail < 3; ++starts_that_fail) {
      ASSERT_TRUE(remove_tree(sim.files, kRoot));
      ASSERT_TRUE(create_directories(sim.files, kRoot));
      const auto manifest = open();
      append(*manifest, 1, 2);
      if (!flush_failed) sim.files.kill_at_step(sim.files.steps() + 2);  // written; the process dies before the flush
      if (flush_failed) sim.files.fail({.op = DiskOp::sync_data, .path_contains = "manifest"});
      EXPECT_FALSE(manifest->append(file_line("s0001", 3)));
      sim.files.kill();
      for (int i = 0; i < starts_that_fail; ++i) {
        sim.files.fail({.op = DiskOp::sync_data, .path_contains = "manifest"});
        EXPECT_FALSE(try_open());
        sim.files.kill();
      }
      ASSERT_EQ(open()->found("s0001").through, Sequence(3));
      sim.crash({CrashPolicy::Keep::none, CrashPolicy::Keep::none});
      EXPECT_EQ(open()->found("s0001").through, Sequence(3)) << flush_failed << " " << starts_that_fail;
    }
  }
}

// The same of its name: the flush of the directory failed when it was made.
TEST_F(ManifestFile, WhatAStartFindsHasItsNameOnDisk) {
  sim.files.fail({.op = DiskOp::sync_directory, .path_contains = kRoot});
  EXPECT_FALSE(try_open());
  append(*open(), 1, 2);
  sim.crash({CrashPolicy::Keep::none, CrashPolicy::Keep::none});
  EXPECT_EQ(open()->found("s0000").through, Sequence(2));
}

TEST_F(ManifestFile, ALongManifestIsReadInBlocks) {
  {
    const auto manifest = open();
    append(*manifest, 1, 5000);  // some 400 KB
  }
  const auto manifest = open();
  EXPECT_EQ(manifest->found("s0000").through, Sequence(5000));
  EXPECT_EQ(manifest->found("s0001").through, Sequence(4999));
  append(*manifest, 5001, 5002);
  EXPECT_EQ(open()->found("s0000").through, Sequence(5002));
}

}  // namespace
}  // namespace tidemill::archive
