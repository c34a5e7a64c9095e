#include "consumers/archive/verify.h"

#include <gtest/gtest.h>

#include "consumers/archive/manifest_format.h"
#include "storage/base/hash.h"
#include "tests/consumers/archive/archive_fixture.h"
#include "tests/support/sim_env.h"

namespace tidemill {
namespace {

using archive::FileLine;
using archive::ManifestLine;

// An archive of two shards, made by hand, and what verify says of it. Records 1 to 6; the odd ones are shard 0's.
struct VerifyArchive : ::testing::Test {
  VerifyArchive() { EXPECT_TRUE(create_directories(sim.files, directory + "/2026/01/02/03")); }

  static HashKey hash_of(std::uint64_t s) { return {s % 2 == 1 ? 0 : ~0ull, 0}; }
  static std::string text_of(std::uint64_t s) { return "{\"n\":" + std::to_string(s) + "}"; }
  void write(const std::string& path, const std::string& text) {
    const auto file = sim.files.open(directory + "/" + path, OpenMode::open_or_create);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->truncate(0));
    ASSERT_TRUE((*file)->write_at(ByteOffset(0), std::as_bytes(std::span(text))));
  }
  // A text file of these records, with its line.
  FileLine& file(const std::string& unit, const std::vector<std::uint64_t>& records, std::uint64_t through) {
    std::string text;
    for (const std::uint64_t s : records) text += text_of(s) + "\n";
    const std::string path = "2026/01/02/03/" + unit + "-" + std::to_string(records.front()) + ".txt";
    write(path, text);
    lines.push_back(FileLine{unit, Sequence(records.front()), Sequence(records.back()), Sequence(through),
                             records.size(), text.size(), xxh3(text), path});
    return std::get<FileLine>(lines.back());
  }
  // kind:file, of damages.
  std::vector<std::string> look(bool moved_ok = false) {
    std::string manifest =
        archive::encode(0, archive::HeaderLine{archive::kManifestVersion, StreamId(7), "retail", 99}, 0);
    for (std::size_t i = 0; i < lines.size(); ++i) manifest += archive::encode(i + 1, lines[i], 99);
    write("manifest", manifest + torn);
    std::vector<std::string> said;
    const auto sink = [&](const Finding& f) {
      if (f.grade == Finding::Grade::damage) said.push_back(f.kind + ":" + f.file.substr(f.file.rfind('/') + 1));
      texts += f.text + "\n";
    };
    const std::uint64_t steps = sim.files.steps();
    auto verifier = ArchiveVerifier::open(sim.files, directory, test_stream(2), moved_ok, sink);
    EXPECT_TRUE(verifier);
    for (std::uint64_t s = 1; s <= log_end; ++s) {
      if (s == lost) {
        (*verifier)->lost(Sequence(s), Sequence(s));
        continue;
      }
      const std::string data = text_of(s);
      const Record r{Sequence(s), hash_of(s), false, ContentType::json, {}, {}, {}, data};
      (*verifier)->records({&r, 1});
    }
    LogCut cut;
    cut.last = Sequence(log_end);
    facts = (*verifier)->finish(cut);
    EXPECT_EQ(sim.files.steps(), steps);
    return said;
  }
  using Said = std::vector<std::string>;

  SimEnv sim;
  std::string directory = "/data/archive/retail";
  std::vector<ManifestLine> lines;
  std::string torn;
  std::string texts;
  std::uint64_t log_end = 6;
  std::uint64_t lost = 0;
  VerifiedArchive facts;
};

TEST_F(VerifyArchive, HasNothingToSayWhereAllAgree) {
  file("s0000", {1, 3}, 4);
  file("s0001", {2, 4, 6}, 6);
  torn = "0123456789abcdef 3 file s00";
  EXPECT_EQ(look(), Said{});
  EXPECT_EQ(facts.files, 2u);
  EXPECT_EQ(facts.records, 5u);
  EXPECT_EQ(facts.unfiled, 1u);  // 5: its shard is filed up to 4
}

TEST_F(VerifyArchive, RecordInNoFileAndInTwo) {
  file("s0000", {1, 5}, 6);  // 3 is missing, and its place in the file is 5's
  file("s0001", {2, 4}, 6);  // 6 is not filed, though it says so
  const auto said = look();
  EXPECT_EQ(said, (Said{"text:s0000-1.txt", "unfiled:manifest"})) << texts;
  EXPECT_NE(texts.find("Records of s0001"), std::string::npos);
  lines.clear();
  file("s0000", {1, 3, 5}, 6);
  file("s0001", {2, 4, 6}, 6);
  file("l00", {3}, 3);  // another unit that takes the same keys
  EXPECT_EQ(look(), Said{"twice:s0000-1.txt"}) << texts;
}

TEST_F(VerifyArchive, FileThatGoesOnOrWhoseFactsAreWrong) {
  file("s0001", {2, 4, 6}, 6);
  FileLine& f = file("s0000", {1, 3}, 3);
  const FileLine good = f;
  write(f.path, text_of(1) + "\n" + text_of(3) + "\n" + text_of(5) + "\n");
  EXPECT_EQ(look(), Said{"text:s0000-1.txt"}) << texts;
  write(f.path, text_of(1) + "\n" + text_of(3) + "\n");
  f.hash ^= 1;
  EXPECT_EQ(look(), Said{"text:s0000-1.txt"}) << texts;
  f = good;
  f.count = 3;
  EXPECT_EQ(look(), Said{"manifest:manifest"}) << texts;
  f = good;
  EXPECT_EQ(look(), Said{}) << texts;
}

TEST_F(VerifyArchive, WithoutARecordTheLogHasLostTheHashStillSpeaks) {
  file("s0001", {2, 4, 6}, 6);
  const std::string path = file("s0000", {1, 3, 5}, 6).path;
  lost = 3;
  EXPECT_EQ(look(), Said{}) << texts;
  write(path, text_of(1) + "\n" + text_of(9) + "\n" + text_of(5) + "\n");
  EXPECT_EQ(look(), Said{"text:s0000-1.txt"}) << texts;
}

TEST_F(VerifyArchive, MissingUnnamedAndBeyondTheLog) {
  file("s0001", {2, 4, 6}, 6);
  const std::string path = file("s0000", {1, 3, 5}, 6).path;
  ASSERT_TRUE(sim.files.remove(directory + "/" + path));
  EXPECT_EQ(look(), Said{"missing:s0000-1.txt"});
  EXPECT_EQ(look(true), Said{});
  file("s0000", {1, 3, 5}, 6);
  lines.pop_back();
  write("2026/01/02/03/mine.txt", "{}\n");
  EXPECT_EQ(look(), Said{"unnamed:mine.txt"});
  lines.clear();
  file("s0001", {2, 4, 6}, 6);
  ASSERT_TRUE(sim.files.remove(directory + "/2026/01/02/03/mine.txt"));
  ASSERT_TRUE(sim.files.remove(directory + "/" + path));
  log_end = 5;
  const auto said = look();
  ASSERT_FALSE(said.empty());
  EXPECT_EQ(said[0], "manifest:s0001-2.txt") << texts;
}

}  // namespace
}  // namespace tidemill
