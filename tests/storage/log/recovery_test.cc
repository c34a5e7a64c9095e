#include <gtest/gtest.h>

#include "storage/log/commit_reader.h"
#include "storage/log/commit_writer.h"
#include "storage/log/mark_file.h"
#include "storage/log/segment_file.h"
#include "tests/storage/log/log_world.h"
#include "tests/support/capture_logger.h"

namespace tidemill {
namespace {

// The fixture's words: append, crash, flip_byte, reopen, and where things lie.
class SegmentRecovery : public ::testing::Test {
 protected:
  struct Place {
    std::string file;
    std::uint64_t offset = 0;
    std::uint32_t length = 0;
    std::uint64_t first = 0;
    std::uint64_t last = 0;
  };

  SegmentRecovery() {
    w.options.segment_bytes_first = 64 << 10;
    w.open();
  }
  void append(std::size_t count = 2, std::size_t bytes = 50) { ASSERT_TRUE(w.append(count, bytes).ok()); }
  void mark() { w.sim.executor.run_for(std::chrono::milliseconds(200)); }
  void reopen() {
    w.open();
    ASSERT_TRUE(w.log);
  }
  // All commits of the last segment, by its bytes.
  std::vector<Place> commits() { return commits_in(w.files(".seg").back()); }
  std::vector<Place> commits_in(const std::string& file) {
    std::vector<Place> out;
    const std::string content = *w.sim.files.content(file);
    const auto bytes = std::as_bytes(std::span(content));
    const auto header = read_segment_header(bytes.first(kBlockBytes));
    for (std::uint64_t at = kSegmentHeaderBytes; at < bytes.size();) {
      const auto commit = read_commit(bytes.subspan(at), header->salt, header->incarnation);
      if (!commit) break;
      out.push_back({file, at, commit->length, commit->first.value(), commit->last().value()});
      at += commit->length;
    }
    return out;
  }
  void flip_byte(const std::string& file, std::uint64_t offset) { ASSERT_TRUE(w.sim.files.flip_bit(file, offset, 3)); }
  void expect_lost(std::uint64_t first, std::uint64_t last) {
    const auto read = w.read_all();
    std::uint64_t expected = 1;
    for (const auto& [s, text] : w.acknowledged) {
      if (s >= first && s <= last) {
        EXPECT_FALSE(read.records.contains(s)) << s;
        continue;
      }
      ASSERT_TRUE(read.records.contains(s)) << s;
      EXPECT_TRUE(read.records.at(s) == text) << s;
    }
    for (const LostRange& lost : read.lost) {
      if (expected == 1) expected = lost.first.value();
      EXPECT_EQ(lost.first.value(), expected);
      expected = lost.last.value() + 1;
    }
    ASSERT_FALSE(read.lost.empty());
    EXPECT_EQ(read.lost.front().first.value(), first);
    EXPECT_EQ(read.lost.back().last.value(), last);
    EXPECT_FALSE(w.log->status().damage.empty());
    EXPECT_TRUE(w.append(2).ok());  // and it goes on
  }

  CaptureLogger logger;
  LogWorld w{1, logger};
};

TEST_F(SegmentRecovery, TornTailIsDropped) {
  append();
  append(2, 1000);
  w.kill();
  const Place last = commits().back();
  ASSERT_TRUE(w.sim.files.overwrite(last.file, last.offset + 512, std::string(512, '\0')));
  w.acknowledged.erase(last.first);
  w.acknowledged.erase(last.last);
  reopen();
  EXPECT_EQ(w.log->durable(), Sequence(last.first - 1));
  EXPECT_TRUE(w.log->status().damage.empty());
  EXPECT_EQ(logger.count("torn_tail=dropped"), 1u);
  w.expect_nothing_lost();
  w.kill();
  reopen();
  EXPECT_EQ(logger.count("torn_tail=dropped"), 1u);
  EXPECT_EQ(logger.count("torn_tail=none"), 2u);  // the first start, and this one
}

TEST_F(SegmentRecovery, TailBelowTheMarkIsDamage) {
  append();
  append();
  mark();
  w.kill();
  const Place last = commits().back();
  flip_byte(last.file, last.offset + 700);
  reopen();
  EXPECT_EQ(w.log->durable(), Sequence(last.last));
  expect_lost(last.first, last.last);
}

TEST_F(SegmentRecovery, TailBelowTheMarkIsDamageForEverAfter) {
  append();
  append();
  mark();
  w.kill();
  const Place last = commits().back();
  flip_byte(last.file, last.offset + 700);
  for (int i = 0; i < 3; ++i) {
    reopen();
    w.crash();
  }
  reopen();
  expect_lost(last.first, last.last);
}

TEST_F(SegmentRecovery, BadCommitBeforeAValidOneIsDamageWithoutAMarkToo) {
  append();
  append();
  append();
  append();
  w.kill();
  const Place bad = commits()[1];
  flip_byte(bad.file, bad.offset + 100);
  ASSERT_TRUE(w.sim.files.remove(w.directory + "/mark"));
  reopen();
  expect_lost(bad.first, bad.last);
  for (int i = 0; i < 3; ++i) {
    w.crash();
    reopen();
  }
  expect_lost(bad.first, bad.last);
}

TEST_F(SegmentRecovery, LastCommitIsFlushedInAFreshSegmentBeforeAnybodySeesIt) {
  append();
  append();
  w.kill();
  // The process died between the write and the flush of a commit: nobody was told, but the machine has it in its cache.
  const Place last = commits().back();
  const std::string content = *w.sim.files.content(last.file);
  const auto header = read_segment_header(std::as_bytes(std::span(content)).first(kBlockBytes));
  ASSERT_TRUE(header);
  CommitWriter::Context context;
  context.salt = header->salt;
  context.incarnation = header->incarnation;
  context.epoch = header->epoch;
  context.first = Sequence(last.last + 1);
  CommitWriter writer;
  const EncodedCommit commit = writer.encode(&w.prepare(3, 50, "").append, context);
  {
    auto file = w.sim.files.open(last.file, OpenMode::write);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->write_at(ByteOffset(last.offset + last.length), commit.bytes));
  }
  reopen();
  EXPECT_EQ(w.log->durable(), Sequence(last.last + 3));
  const auto seen = w.read_all();
  EXPECT_EQ(seen.records.size(), last.last + 3);
  // Readers have seen it, so it must survive what comes now.
  w.crash({.writes = CrashPolicy::Keep::none, .names = CrashPolicy::Keep::none, .fill = CrashPolicy::Fill::zeros});
  reopen();
  EXPECT_EQ(w.log->durable(), Sequence(last.last + 3));
  EXPECT_TRUE(w.read_all().records == seen.records);
}

TEST_F(SegmentRecovery, OneCopyOfTheHeaderIsEnough) {
  append();
  w.kill();
  flip_byte(w.files(".seg").back(), 40);
  reopen();
  w.expect_nothing_lost();
  w.kill();
  flip_byte(w.files(".seg").back(), kBlockBytes + 40);
  reopen();
  w.expect_nothing_lost();
}

TEST_F(SegmentRecovery, LaterVersionIsRefusedAndNotCalledDamage) {
  append();
  w.kill();
  const std::string file = w.files(".seg").back();
  for (const std::uint64_t copy : {0, 4096}) {
    ASSERT_TRUE(w.sim.files.overwrite(file, copy + 16, std::string("\x02\x00", 2)));
  }
  EXPECT_FALSE(w.try_open());
  EXPECT_EQ(w.open_error, make_error_code(StorageErrc::layout_too_new));
}

TEST_F(SegmentRecovery, LostHeaderOfTheLastSegmentIsDamage) {
  for (int i = 0; i < 60; ++i) append(3, 400);
  mark();
  w.kill();
  const std::string file = w.files(".seg").back();
  const auto in_it = commits_in(file);
  flip_byte(file, 40);
  flip_byte(file, kBlockBytes + 40);
  reopen();
  EXPECT_EQ(w.log->durable(), Sequence(in_it.back().last));
  expect_lost(in_it.front().first, in_it.back().last);
}

TEST_F(SegmentRecovery, LostHeaderInTheMiddleIsDamage) {
  for (int i = 0; i < 150; ++i) append(3, 400);
  mark();
  w.kill();
  const auto files = w.files(".seg");
  ASSERT_GT(files.size(), 3u);
  const auto in_it = commits_in(files[1]);
  flip_byte(files[1], 40);
  flip_byte(files[1], kBlockBytes + 40);
  reopen();
  expect_lost(in_it.front().first, in_it.back().last);
}

TEST_F(SegmentRecovery, MissingSegmentIsDamage) {
  for (int i = 0; i < 150; ++i) append(3, 400);
  mark();
  w.kill();
  const auto files = w.files(".seg");
  const auto in_it = commits_in(files[1]);
  ASSERT_TRUE(w.sim.files.remove(files[1]));
  reopen();
  expect_lost(in_it.front().first, in_it.back().last);
}

TEST_F(SegmentRecovery, MissingLastSegmentIsDamage) {
  for (int i = 0; i < 60; ++i) append(3, 400);
  mark();
  w.kill();
  const auto in_it = commits();
  ASSERT_TRUE(w.sim.files.remove(in_it[0].file));
  reopen();
  expect_lost(in_it.front().first, in_it.back().last);
}

TEST_F(SegmentRecovery, AllSegmentsGoneIsDamageAndNumbersAreNotUsedAgain) {
  for (int i = 0; i < 10; ++i) append(3);
  mark();
  w.kill();
  for (const std::string& f : w.files(".seg")) ASSERT_TRUE(w.sim.files.remove(f));
  reopen();
  EXPECT_EQ(w.log->durable(), Sequence(30));
  expect_lost(1, 30);
}

TEST_F(SegmentRecovery, MissingIndexIsMadeAgain) {
  for (int i = 0; i < 150; ++i) append(3, 400);
  w.close();
  ASSERT_FALSE(w.files(".idx").empty());
  for (const std::string& f : w.files(".idx")) ASSERT_TRUE(w.sim.files.remove(f));
  reopen();
  w.expect_nothing_lost();
  EXPECT_FALSE(w.files(".idx").empty());
}

TEST_F(SegmentRecovery, RubbishInTheIndexMisleadsNobody) {
  for (int i = 0; i < 150; ++i) append(3, 400);
  w.close();
  for (const std::string& f : w.files(".idx")) {
    const std::size_t size = w.sim.files.content(f)->size();
    for (std::size_t at = 0; at < size; at += 100) flip_byte(f, at);
  }
  reopen();
  w.expect_nothing_lost();
}

TEST_F(SegmentRecovery, ForeignMarkIsIgnored) {
  append();
  w.close();
  LogWorld other(2);
  other.open();
  for (int i = 0; i < 20; ++i) other.append(2);
  other.close();
  const std::string mark = *other.sim.files.content(other.directory + "/mark");
  ASSERT_TRUE(w.sim.files.overwrite(w.directory + "/mark", 0, mark));
  reopen();
  EXPECT_EQ(w.log->durable(), Sequence(2));
  w.expect_nothing_lost();
}

// Every byte of a small log, one bit each: no wrong record is served, and none goes silently.
TEST_F(SegmentRecovery, FlippedBitNeverLies) {
  for (int i = 0; i < 4; ++i) append(2, 30);
  w.close();
  const auto expected = w.acknowledged;
  std::map<std::string, std::string> disk;
  for (const std::string& f : w.files("")) disk[f] = *w.sim.files.content(f);
  for (const auto& [file, content] : disk) {
    const bool segment = file.ends_with(".seg");
    // Of the zeros behind the last commit a sample is enough; the rest byte for byte.
    for (std::size_t at = 0; at < content.size(); at += segment && at > (40u << 10) ? 997 : segment ? 7 : 13) {
      LogWorld again(at + 1);
      ASSERT_TRUE(create_directories(again.sim.files, again.directory));
      for (const auto& [name, bytes] : disk) {
        auto copy = again.sim.files.open(name, OpenMode::open_or_create);
        ASSERT_TRUE(copy);
        ASSERT_TRUE((*copy)->write_at(ByteOffset(0), std::as_bytes(std::span(bytes))));
        ASSERT_TRUE((*copy)->sync_data());
      }
      ASSERT_TRUE(again.sim.files.sync_directory(again.directory));
      ASSERT_TRUE(again.sim.files.flip_bit(file, at, at % 8));
      ASSERT_TRUE(again.try_open()) << file << " " << at << ": " << again.open_error.message();
      const auto read = again.read_all();
      EXPECT_EQ(again.log->durable().value(), expected.rbegin()->first) << file << " " << at;
      for (const auto& [s, text] : expected) {
        if (read.records.contains(s)) {
          ASSERT_TRUE(read.records.at(s) == text) << file << " " << at;
          continue;
        }
        const bool told = std::any_of(read.lost.begin(), read.lost.end(), [s = s](const LostRange& l) {
          return l.first.value() <= s && s <= l.last.value();
        });
        ASSERT_TRUE(told) << "record " << s << " went silently; " << file << " at " << at;
      }
      ASSERT_LE(read.records.size(), expected.size());
    }
  }
}

TEST_F(SegmentRecovery, StartReadsTheLastSegmentOnly) {
  for (int i = 0; i < 400; ++i) append(3, 400);
  ASSERT_GT(w.log->status().segments, 6u);
  w.close();
  // With all but the last two segments unreadable the log opens all the same.
  const auto files = w.files(".seg");
  for (std::size_t i = 0; i + 2 < files.size(); ++i) {
    w.sim.files.fail({.op = DiskOp::read, .path_contains = files[i], .nth = 1, .times = 1'000'000, .error = EIO});
  }
  reopen();
  EXPECT_EQ(w.log->durable(), Sequence(1200));
}

TEST_F(SegmentRecovery, BadSectorIsDamageOfItsCommitOnly) {
  for (int i = 0; i < 6; ++i) append(4, 2000);
  w.close();
  reopen();
  const auto files = w.files(".seg");
  const auto places = commits_in(files.front());
  w.sim.files.fail({.op = DiskOp::read, .path_contains = files.front(), .nth = 1, .times = 1'000'000, .error = EIO});
  EXPECT_FALSE(w.log->read(Sequence(1), {}));  // the disk is gone, as far as one can see: no loss yet
  w.sim.files.clear_faults();
  w.expect_nothing_lost();
}

}  // namespace
}  // namespace tidemill
