#include "consumers/archive/archive.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "tests/consumers/archive/archive_fixture.h"
#include "tests/support/capture_logger.h"
#include "tests/support/sim_env.h"

namespace tidemill {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const std::string kRoot = "/data/archive/retail";

std::string json(std::uint64_t n, std::size_t pad = 0) {
  return "{\"n\":" + std::to_string(n) + ",\"pad\":\"" + std::string(pad, 'x') + "\"}";
}

class Archive : public ::testing::Test {
 protected:
  CaptureLogger logger;
  SimEnv sim{1, logger};
  TestLog log;

  void append(std::uint64_t records, std::size_t pad = 0) {
    for (std::uint64_t i = 0; i < records; ++i) {
      const std::uint64_t n = log.end + 1;
      log.append({mix(n), n}, json(n, pad), sim.clock.wall());
    }
  }
  std::unique_ptr<TestGroup> open(const StreamDefinition& definition) {
    auto group = std::make_unique<TestGroup>(sim.env, kRoot, definition, log, 1);
    const auto opened = group->open();
    EXPECT_TRUE(opened) << opened.error().message();
    return group;
  }
  // Names below the archive's directory that end so, with their contents.
  std::map<std::string, std::string> files(const std::string& ending) {
    std::map<std::string, std::string> found;
    for (const auto& path : sim.files.all_files())
      if (path.ends_with(ending)) found[path.substr(kRoot.size() + 1)] = *sim.files.content(path);
    return found;
  }
  std::string archive_name(const std::string& stream) {
    const std::string at = format_rfc3339(log.records.front().arrival);
    return at.substr(0, 4) + "/" + at.substr(5, 2) + "/" + at.substr(8, 2) + "/" + at.substr(11, 2) + "/" + stream +
           "-s0000-" + format_basic(log.records.front().arrival) + "-00000000000000000001.txt";
  }
  std::string lines(std::uint64_t first, std::uint64_t last) {
    std::string text;
    for (std::uint64_t n = first; n <= last; ++n) text += json(n) + "\n";
    return text;
  }
};

TEST_F(Archive, FilesAreNamedByTheFirstRecordAndWrittenAside) {
  append(3);
  auto group = open(test_stream(1));
  ASSERT_TRUE(group->deliver(3));
  EXPECT_EQ(files(".txt").size(), 0u);
  EXPECT_EQ(files(".part").count("2026/01/02/03/retail-s0000-20260102T030405Z-00000000000000000001.part"), 1u);
  EXPECT_EQ(group->shard(0).persisted(), Position());
  ASSERT_TRUE(group->close());
  EXPECT_EQ(files(".part").size(), 0u);
  EXPECT_EQ(files(".txt"), (std::map<std::string, std::string>{
                               {"2026/01/02/03/retail-s0000-20260102T030405Z-00000000000000000001.txt", lines(1, 3)}}));
}

TEST_F(Archive, BytesRecordsAreBase64) {
  for (const char* data : {"", "f", "fo", "foo", "foob"}) log.append({}, data, sim.clock.wall(), ContentType::bytes);
  log.append({}, std::string("\xff\x00\xfe", 3), sim.clock.wall(), ContentType::bytes);
  auto group = open(test_stream(1));
  ASSERT_TRUE(group->deliver(log.end));
  ASSERT_TRUE(group->close());
  EXPECT_EQ(files(".txt").begin()->second,
            "{\"_base64\":\"\"}\n{\"_base64\":\"Zg==\"}\n{\"_base64\":\"Zm8=\"}\n{\"_base64\":\"Zm9v\"}\n"
            "{\"_base64\":\"Zm9vYg==\"}\n{\"_base64\":\"/wD+\"}\n");
}

TEST_F(Archive, AFileIsCompleteBeforeItGrowsOverItsSize) {
  append(20, 80);  // a line is about 100 bytes
  auto group = open(test_stream(1, 250));
  ASSERT_TRUE(group->deliver(20));
  EXPECT_EQ(files(".txt").size(), 9u);
  for (const auto& [name, text] : files(".txt")) EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
}

TEST_F(Archive, ARecordLargerThanTheSizeHasAFileOfItsOwn) {
  append(1);
  log.append({}, json(2, 200'000), sim.clock.wall());
  append(1);
  auto group = open(test_stream(1, 1000));
  ASSERT_TRUE(group->deliver(3));
  ASSERT_TRUE(group->close());
  std::vector<std::size_t> sizes;
  for (const auto& [name, text] : files(".txt")) sizes.push_back(text.size());
  ASSERT_EQ(sizes.size(), 3u);
  EXPECT_GT(sizes[1], 200'000u);
}

TEST_F(Archive, AFileIsCompleteAtItsAgeIdleOrNot) {
  append(2);
  auto group = open(test_stream(1));
  EXPECT_EQ(group->shard(0).next_tick(), std::nullopt);
  ASSERT_TRUE(group->deliver(1));
  ASSERT_EQ(group->shard(0).next_tick(), sim.clock.monotonic() + seconds(60));
  sim.clock.advance(milliseconds(59'999));
  sim.clock.jump_wall(seconds(7200));  // the wall clock has no say in ages
  ASSERT_TRUE(group->tick());
  EXPECT_EQ(files(".txt").size(), 0u);
  ASSERT_TRUE(group->deliver(2));
  sim.clock.advance(milliseconds(1));
  ASSERT_TRUE(group->tick());
  EXPECT_EQ(files(".txt").size(), 1u);
  EXPECT_EQ(files(".txt").begin()->second, lines(1, 2));
  EXPECT_EQ(group->shard(0).next_tick(), std::nullopt);
  EXPECT_EQ(group->shard(0).persisted(), Position::through(Sequence(2)));
}

// A second flush of the directory may say yes and mean nothing.
TEST_F(Archive, ANameWhoseFlushFailedIsGivenAnew) {
  append(2);
  const auto fail = [&] {
    const std::string path = files(files(".txt").empty() ? ".part" : ".txt").begin()->first;
    sim.files.fail({.op = DiskOp::sync_directory, .path_contains = path.substr(0, path.rfind('/')), .times = 1});
  };
  {
    auto group = open(test_stream(1));
    ASSERT_TRUE(group->deliver(2));
    sim.clock.advance(seconds(61));
    fail();
    EXPECT_FALSE(group->tick());
    EXPECT_EQ(files(".txt").size(), 0u);
    EXPECT_EQ(files(".part").size(), 1u);
    EXPECT_EQ(group->shard(0).persisted(), Position());
    ASSERT_TRUE(group->tick());
    EXPECT_EQ(files(".txt").size(), 1u);
    EXPECT_EQ(group->shard(0).persisted(), Position::through(Sequence(2)));
    ASSERT_TRUE(group->close());
  }
  // At a start it is not known whether it was flushed, nor after that has failed.
  fail();
  const std::uint64_t steps = sim.files.steps();
  auto group = open(test_stream(1));
  EXPECT_GT(sim.files.steps(), steps + 3) << "not written and named again";
  EXPECT_EQ(sim.files.faults_hit(), 2u);
  ASSERT_EQ(files(".txt").size(), 1u);
  EXPECT_EQ(files(".txt").begin()->second, lines(1, 2));
  EXPECT_EQ(files(".part").size(), 0u);
}

TEST_F(Archive, RecordsThatKeepComingDoNotKeepAFileOpen) {
  auto group = open(test_stream(1));
  for (int i = 0; i < 10; ++i) {
    append(1);
    ASSERT_TRUE(group->deliver(log.end));
    sim.clock.advance(seconds(25));
  }
  EXPECT_EQ(files(".txt").size(), 3u);  // no tick: the batches themselves saw the age
}

TEST_F(Archive, ARestartGoesOnAfterTheLastCompleteFile) {
  append(10);
  {
    auto group = open(test_stream(2));
    ASSERT_TRUE(group->deliver(6));
    ASSERT_TRUE(group->close());
  }
  auto group = open(test_stream(2));
  for (int i : {0, 1}) EXPECT_EQ(group->shard(i).persisted(), Position::through(Sequence(6)));  // also without records
  ASSERT_TRUE(group->deliver(10));
  ASSERT_TRUE(group->close());
  std::string all;
  for (const auto& [name, text] : files(".txt")) all += text;
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 10);
}

TEST_F(Archive, AKilledProcessLeavesNoLeftovers) {
  append(10);
  auto group = open(test_stream(1));
  ASSERT_TRUE(group->deliver(10));
  EXPECT_EQ(files(".part").size(), 1u);
  sim.files.kill();
  sim.executor.drop_all();
  log.records.clear();  // so that nothing takes the same name again
  log.end = 0;
  group = open(test_stream(1));
  EXPECT_EQ(files(".part").size(), 0u);
  EXPECT_EQ(files(".txt").size(), 0u);
  EXPECT_EQ(logger.count("removed files that were not complete"), 1u);
}

TEST_F(Archive, ABatchCutAnywhereIsRetriedWithoutDoubles) {
  append(10);
  auto group = open(test_stream(1, 40));
  const RecordBatch batch = *log.read(Sequence(1), {});
  for (int nth = 1; nth <= 12; ++nth) {
    sim.files.fail({.op = DiskOp::change, .nth = static_cast<std::uint64_t>(nth)});
    (void)group->shard(0).process(batch);
  }
  sim.files.clear_faults();
  ASSERT_TRUE(group->shard(0).process(batch));
  ASSERT_TRUE(group->shard(0).process(batch));
  ASSERT_TRUE(group->close());
  std::string all;
  for (const auto& [name, text] : files(".txt")) all += text;
  EXPECT_EQ(all, lines(1, 10));
}

TEST_F(Archive, AFullDiskIsRetriedWithoutDoubles) {
  append(2000, 100);
  auto group = open(test_stream(3, 20'000));
  std::uint64_t capacity = 50'000;
  sim.files.set_capacity(capacity);
  int full = 0;
  const auto more_room = [&] {
    ++full;
    sim.files.set_capacity(capacity += 7'777);
  };
  ASSERT_TRUE(group->deliver(2000, 1000, more_room));
  sim.files.set_capacity(1 << 30);
  ASSERT_TRUE(group->close());
  EXPECT_GT(full, 20);
  std::multiset<std::string> all;
  for (const auto& [name, text] : files(".txt"))
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = text.find('\n', at);
      ASSERT_NE(end, std::string::npos);
      all.insert(text.substr(at, end - at));
      at = end + 1;
    }
  std::multiset<std::string> expected;
  for (const auto& r : log.records) expected.insert(r.data);
  EXPECT_EQ(all, expected);
}

TEST_F(Archive, LostRecordsAreNotedAndPassed) {
  append(3);
  log.lose(5);
  append(2);
  auto group = open(test_stream(1));
  ASSERT_TRUE(group->deliver(log.end));
  EXPECT_EQ(files(".txt").size(), 1u);  // complete before the gap
  EXPECT_EQ(files(".txt").begin()->second, lines(1, 3));
  EXPECT_NE(files("manifest").begin()->second.find(" lost s0000 4 8\n"), std::string::npos);
  ASSERT_TRUE(group->close());
  EXPECT_EQ(files(".txt").rbegin()->second, lines(9, 10));
  EXPECT_EQ(logger.count("first=4 last=8"), 1u);
}

TEST_F(Archive, AMissingLastFileIsMadeAgainWithTheSameBytes) {
  append(9);
  {
    auto group = open(test_stream(1));
    ASSERT_TRUE(group->deliver(6));
    ASSERT_TRUE(group->close());
  }
  const auto before = files(".txt");
  for (const char* ruin : {"gone", "short"}) {
    const std::string path = kRoot + "/" + before.begin()->first;
    if (ruin == std::string("gone"))
      ASSERT_TRUE(sim.files.remove(path));
    else
      ASSERT_TRUE(sim.files.cut_file(path, 5));
    auto group = open(test_stream(1));
    EXPECT_EQ(files(".txt"), before) << ruin;
  }
  EXPECT_EQ(logger.count("made again"), 2u);
}

TEST_F(Archive, AMissingFileWhoseRecordsAreLostIsMadeOfWhatIsLeft) {
  append(6);
  {
    auto group = open(test_stream(1));
    ASSERT_TRUE(group->deliver(6));
    ASSERT_TRUE(group->close());
  }
  ASSERT_TRUE(sim.files.remove(kRoot + "/" + files(".txt").begin()->first));
  log.records.erase(log.records.begin() + 2, log.records.begin() + 4);
  log.lost.push_back({Sequence(3), Sequence(4), "segment-1", ByteOffset(0)});
  {
    auto group = open(test_stream(1));
    EXPECT_EQ(files(".txt").begin()->second, lines(1, 2) + lines(5, 6));
    EXPECT_EQ(group->shard(0).persisted(), Position::through(Sequence(6)));
  }
  ASSERT_TRUE(sim.files.remove(kRoot + "/" + files(".txt").begin()->first));
  log.records.clear();
  log.lost = {{Sequence(1), Sequence(6), "segment-1", ByteOffset(0)}};
  {
    auto group = open(test_stream(1));
    EXPECT_EQ(files(".txt").size(), 0u);
    EXPECT_EQ(group->shard(0).persisted(), Position::through(Sequence(6)));
  }
  EXPECT_TRUE(open(test_stream(1)));
}

TEST_F(Archive, ALogThatWasReplacedIsNoticed) {
  append(6);
  {
    auto group = open(test_stream(1));
    ASSERT_TRUE(group->deliver(6));
    ASSERT_TRUE(group->close());
  }
  ASSERT_TRUE(sim.files.remove(kRoot + "/" + files(".txt").begin()->first));
  log.records[3].data = "{\"other\":1}";
  TestGroup group(sim.env, kRoot, test_stream(1), log, 1);
  const auto opened = group.open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error(), StorageErrc::damaged);
  EXPECT_EQ(logger.count("error: the log does not give the records"), 1u);
}

TEST_F(Archive, AFileRemovedWhileTheServerRunsIsMadeAgain) {
  auto group = open(test_stream(1));
  append(4);
  ASSERT_TRUE(group->deliver(4));
  ASSERT_EQ(files(".part").size(), 1u);
  for (const auto& [name, text] : files(".part")) ASSERT_TRUE(sim.files.remove(kRoot + "/" + name));
  const std::string year = kRoot + "/" + format_rfc3339(sim.clock.wall()).substr(0, 4);
  ASSERT_TRUE(remove_tree(sim.files, year));
  sim.clock.advance(seconds(60));
  ASSERT_TRUE(group->tick());
  ASSERT_EQ(files(".txt").size(), 1u);
  EXPECT_EQ(files(".txt").begin()->second, lines(1, 4));
  EXPECT_FALSE(group->shard(0).next_tick());
  // Complete ones are the user's; the next file has its directory all the same.
  ASSERT_TRUE(remove_tree(sim.files, year));
  append(2);
  ASSERT_TRUE(group->deliver(6));
  ASSERT_TRUE(group->close());
  ASSERT_EQ(files(".txt").size(), 1u);
  EXPECT_EQ(files(".txt").begin()->second, lines(5, 6));
}

// An older manifest was put back: what is already filed after it must not be filed twice, nor be written over.
TEST_F(Archive, ATextFileThatTheManifestDoesNotNameStopsTheUnit) {
  append(6);
  std::string before;
  {
    auto group = open(test_stream(1));
    ASSERT_TRUE(group->deliver(2));
    before = *sim.files.content(kRoot + "/manifest");
    ASSERT_TRUE(group->deliver(4));
    ASSERT_TRUE(group->close());
  }
  const auto filed = files(".txt");
  ASSERT_TRUE(sim.files.cut_file(kRoot + "/manifest", before.size()));
  auto group = open(test_stream(1));
  const auto delivered = group->deliver(6);
  ASSERT_FALSE(delivered);
  EXPECT_EQ(delivered.error(), StorageErrc::damaged);
  EXPECT_EQ(files(".txt"), filed);
  EXPECT_EQ(logger.count("error: a text file is there that the archive's manifest does not name stream=retail file=" +
                         kRoot + "/" + filed.begin()->first),
            1u);
}

TEST_F(Archive, OfAnEarlierStreamOfThatNameIsMovedAsideWhole) {
  append(3);
  {
    auto group = open(test_stream(2));
    ASSERT_TRUE(group->deliver(3));
    ASSERT_TRUE(group->close());
  }
  const auto filed = files(".txt");
  ASSERT_FALSE(filed.empty());
  // The same first sequences in the same second: the same names.
  auto definition = test_stream(2);
  definition.id = StreamId(8);
  for (int life = 0; life < 2; ++life) {
    auto group = open(definition);
    EXPECT_EQ(group->shard(0).persisted().sequence().value(), life == 0 ? 0u : 3u);
    ASSERT_TRUE(group->deliver(3));
    ASSERT_TRUE(group->close());
    sim.crash({CrashPolicy::Keep::none, CrashPolicy::Keep::none});
  }
  std::size_t found = 0;
  for (const auto& [name, text] : filed) {
    EXPECT_EQ(sim.files.content(kRoot + "/" + name), text);
    EXPECT_EQ(sim.files.content("/data/archive/_7-retail/" + name), text);
    ++found;
  }
  EXPECT_EQ(found, filed.size());
  EXPECT_EQ(logger.count("kept_as=/data/archive/_7-retail"), 1u);
}

TEST_F(Archive, NamesThatAreAwkwardInAPath) {
  append(1);
  for (const std::string& name : {std::string("-x"), std::string("..."), std::string("a..b"), std::string(".part"),
                                  std::string("manifest"), std::string(128, 'n')}) {
    ASSERT_TRUE(valid_stream_name(name));
    auto definition = test_stream(1);
    definition.name = name;
    const std::string root = "/data/archive/" + name;
    for (int life = 0; life < 2; ++life) {
      TestGroup group(sim.env, root, definition, log, 1);
      const auto opened = group.open();
      ASSERT_TRUE(opened) << name << ": " << opened.error().message();
      EXPECT_EQ(group.shard(0).persisted().sequence().value(), life == 0 ? 0u : 1u);
      ASSERT_TRUE(group.deliver(1));
      ASSERT_TRUE(group.close());
    }
    const std::string path = root + "/" + archive_name(name);
    EXPECT_EQ(sim.files.content(path), json(1) + "\n") << path;
    EXPECT_LE(path.size() - path.rfind('/') - 1, 255u);
  }
  for (const char* name : {".", "..", "", "a/b", "a b", "ä"}) EXPECT_FALSE(valid_stream_name(name)) << name;
}

TEST_F(Archive, LanesTakeOverAbove256Shards) {
  append(500);
  const auto definition = test_stream(1000, 2000);
  std::map<std::string, std::string> first_life;
  for (int life = 0; life < 2; ++life) {
    const auto archive = make_lane_archive(sim.env, kRoot, definition, log.reader());
    const auto at = archive->open();
    ASSERT_TRUE(at);
    EXPECT_EQ(*at, Position::through(Sequence(life == 0 ? 0 : 300)));
    ReadOptions options;
    options.records_max = 70;
    const std::uint64_t end = life == 0 ? 300 : 500;
    for (Sequence from = next(at->sequence()); from.value() <= end;) {
      RecordBatch batch = *log.read(from, options);
      while (batch.records.back().sequence.value() > end) batch.records.pop_back();
      batch.next = next(batch.records.back().sequence);
      ASSERT_TRUE(archive->process(batch));
      EXPECT_EQ(archive->applied().sequence().value(), batch.next.value() - 1);
      from = batch.next;
    }
    EXPECT_TRUE(archive->next_tick().has_value());
    ASSERT_TRUE(archive->close());
    EXPECT_EQ(archive->persisted(), Position::through(Sequence(end)));
    for (const auto& [name, text] : first_life) EXPECT_EQ(files(".txt")[name], text);
    first_life = files(".txt");
  }
  std::map<std::string, int> seen;
  std::set<std::string> units;
  for (const auto& [name, text] : files(".txt")) {
    units.insert(name.substr(name.find("retail-") + 7, 3));
    for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
      ++seen[text.substr(at, text.find('\n', at) - at)];
  }
  EXPECT_EQ(units.size(), 16u);
  EXPECT_EQ(*units.begin(), "l00");
  EXPECT_EQ(seen.size(), 500u);
  for (const auto& [line, times] : seen) EXPECT_EQ(times, 1) << line;

  TestGroup shards(sim.env, kRoot, test_stream(4), log, 1);
  EXPECT_FALSE(shards.open());  // cannot go on exactly once
  EXPECT_EQ(logger.count("between shards and lanes is not supported"), 1u);
}

TEST_F(Archive, AnIdleShardNotesNowAndThenHowFarItHasSeen) {
  auto group = open(test_stream(1));
  RecordBatch nothing;
  nothing.next = Sequence(90'001);
  ASSERT_TRUE(group->shard(0).process(nothing));
  EXPECT_EQ(group->shard(0).persisted(), Position());
  nothing.next = Sequence(100'001);
  ASSERT_TRUE(group->shard(0).process(nothing));
  EXPECT_EQ(group->shard(0).persisted(), Position::through(Sequence(100'000)));
}

}  // namespace
}  // namespace tidemill
