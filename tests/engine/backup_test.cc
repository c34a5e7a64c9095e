#include "engine/backup.h"

#include <gmock/gmock.h>

#include <cerrno>
#include <cstring>

#include "engine/data_reader.h"
#include "storage/log/verify_log.h"
#include "tests/engine/engine_world.h"
#include "tests/support/stride.h"

namespace tidemill {
namespace {

// The example of docs/formats/backup.md.
const char* const kGolden =
    "tidemill backup\n"
    "version = 1\n"
    "instance = 0123456789abcdef0123456789abcdef\n"
    "number = 3\n"
    "taken = 2026-01-02T03:04:05.000Z\n"
    "stream = 0 00000000000000a7 9 1 4 12288 5 _system\n"
    "file = 1048576 fedcba9876543210 streams/0/00000000000000000003-00000000000000000001.seg "
    "streams/0/00000000000000000003-00000000000000000001.seg\n"
    "file = 12288 0123456789abcdef streams/0/00000000000000000004-00000000000000000005.seg.upto-12288 "
    "streams/0/00000000000000000004-00000000000000000005.seg\n"
    "checksum = 8e79fcd8274fd91a\n";

TEST(BackupFormat, GoldenManifestIsWrittenAndRead) {
  BackupContent c;
  c.instance = "0123456789abcdef0123456789abcdef";
  c.number = 3;
  c.taken = *parse_rfc3339("2026-01-02T03:04:05.000Z");
  c.streams.push_back(
      {StreamId(0), Incarnation(0xa7), Epoch(9), Sequence(1), SegmentId(4), ByteOffset(12288), Sequence(5), "_system"});
  const std::string sealed = "streams/0/00000000000000000003-00000000000000000001.seg";
  const std::string last = "streams/0/00000000000000000004-00000000000000000005.seg";
  c.files.push_back({1048576, 0xfedcba9876543210, sealed, sealed});
  c.files.push_back({12288, 0x0123456789abcdef, last + ".upto-12288", last});
  EXPECT_EQ(encode_backup(c), kGolden);
  BackupContent read;
  ASSERT_EQ(decode_backup(kGolden, read), BackupRead::good);
  EXPECT_EQ(read, c);
}

TEST(BackupFormat, AnyOtherByteIsRefused) {
  const std::string golden = kGolden;
  BackupContent read;
  for (std::size_t at = 0; at < golden.size(); ++at) {
    std::string changed = golden;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    EXPECT_NE(decode_backup(changed, read), BackupRead::good) << at;
    EXPECT_NE(decode_backup(golden.substr(0, at), read), BackupRead::good) << at;
  }
  EXPECT_EQ(decode_backup("tidemill backup\nversion = 2\nwhatever it says\n", read), BackupRead::too_new);
}

TEST(DataCut, IsReadAsItWasWritten) {
  DataCut cut;
  cut.instance = "0123456789abcdef0123456789abcdef";
  cut.streams.push_back(
      {StreamId(0),
       "_system",
       {Incarnation(~0ull), Epoch(3), Sequence(1), Sequence(7), {{SegmentId(4), Sequence(1)}}, ByteOffset(8192)}});
  cut.streams.push_back({StreamId(5),
                         "retail",
                         {Incarnation(1),
                          Epoch(1),
                          Sequence(4),
                          Sequence(3),
                          {{SegmentId(1), Sequence(1)}, {SegmentId(2), Sequence(4)}},
                          ByteOffset(12288)}});
  const auto read = decode_cut(encode_cut(cut));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, cut);
  for (const char* bad : {"", "{}", "{\"instance\":\"a\",\"streams\":[]}", "[1]"}) EXPECT_FALSE(decode_cut(bad)) << bad;
}

// A server with a stream that has several segments, and its backups on the same simulated disk.
struct BackupWorld : EngineWorld {
  explicit BackupWorld(std::uint64_t seed = 1) : EngineWorld(seed) {
    options.log.segment_bytes_first = options.log.segment_bytes_max = 32 << 10;
    open();
    if (!create("a")) ADD_FAILURE() << "no stream";
    fill(12);
  }
  void fill(int count) {
    for (int i = 0; i < count; ++i) {
      const std::string data = "{\"n\":" + std::to_string(++made) + ",\"x\":\"" + std::string(3000, 'x') + "\"}";
      EXPECT_TRUE(put(*engine->find(in_default("a")), "k" + std::to_string(made % 5), data).ok());
      written.push_back(data);
    }
  }
  Result<BackupDone> backup(bool link = true) {
    BackupOptions how;
    how.data = "/data";
    how.to = "/backup";
    how.link = link;
    how.cut = [this]() -> Result<DataCut> { return engine->cut(); };
    return make_backup(sim.env, how);
  }
  Result<BackupContent> restore(const std::string& to, bool check_only = false) {
    damaged.clear();
    return restore_backup(sim.env, {"/backup", to, check_only},
                          [this](const Finding& f) { damaged.push_back(f.file); });
  }
  // What a server finds in a directory; afterwards none runs.
  std::vector<std::string> records_of(const std::string& data, Epoch* epoch = nullptr) {
    auto opened = Engine::open(sim.env, {data, options.log});
    if (!opened) return {"not opened: " + opened.error().message()};
    std::vector<std::string> out;
    if (const auto stream = (*opened)->find(in_default("a"))) {
      for (Sequence at(1); at <= stream->log().durable();) {
        const auto batch = stream->log().read(at, {});
        if (!batch || !batch->lost.empty()) return {"lost"};
        for (const Record& r : batch->records) out.emplace_back(r.data);
        at = batch->next;
      }
      if (epoch != nullptr) *epoch = stream->log().status().epoch;
    }
    EXPECT_TRUE((*opened)->close());
    opened->reset();
    sim.executor.run_until_idle();
    sim.executor.drop_all();
    return out;
  }
  int made = 0;
  std::vector<std::string> written;
  std::vector<std::string> damaged;
};

TEST(Backup, HoldsWhatWasDurableAndTheNextOneTakesOnlyWhatIsNew) {
  BackupWorld w;
  const auto first = w.backup();
  ASSERT_TRUE(first) << first.error().message();
  EXPECT_GT(first->linked, 0u);
  EXPECT_EQ(first->kept, 0u);
  const auto then = w.written;

  const auto same = w.backup();
  ASSERT_TRUE(same);
  EXPECT_EQ(same->linked + same->copied, 0u);
  EXPECT_EQ(same->content.number, 2u);

  w.fill(20);
  const auto more = w.backup();
  ASSERT_TRUE(more);
  EXPECT_GE(more->kept, first->linked);
  EXPECT_GT(more->linked, 0u);
  w.fill(3);
  ASSERT_TRUE(w.restore("/new"));
  EXPECT_EQ(w.records_of("/new").size(), then.size() + 20);
  const auto copied = w.backup(false);
  ASSERT_TRUE(copied);
  EXPECT_EQ(copied->linked, 0u);
}

// The answers to keyed requests that a log remembers come from before the cut, however busy it is meanwhile.
TEST(Backup, RememberedAnswersAreNoneOfALaterRequest) {
  BackupWorld w;
  const auto keyed = [&](int count) {
    for (int i = 0; i < count; ++i) {
      OneRecord& one = *w.records.emplace_back(std::make_unique<OneRecord>(
          "k", "{\"x\":\"" + std::string(3000, 'y') + std::to_string(++w.made) + "\"}", w.sim.clock.wall()));
      RequestIdentity identity;
      std::memcpy(identity.key_hash.data(), &w.made, sizeof w.made);
      one.append.identity = identity;
      w.engine->find(in_default("a"))->log().append(&one.append);
      w.sim.executor.run_until([&] { return one.answered; });
      ASSERT_TRUE(one.ok());
    }
    w.sim.executor.run_for(std::chrono::seconds(1));
  };
  keyed(80);
  const auto snapshot = w.sim.files.content("/data/streams/1/requests");
  ASSERT_TRUE(snapshot) << "there is something to copy";
  BackupOptions how;
  how.data = "/data";
  how.to = "/backup";
  how.cut = [&]() -> Result<DataCut> {
    const DataCut cut = w.engine->cut();
    keyed(80);  // so that there is a snapshot of what the cut has not
    return cut;
  };
  ASSERT_TRUE(make_backup(w.sim.env, how));
  ASSERT_TRUE(w.restore("/new"));
  EXPECT_TRUE(exists(w.sim.files, "/new/streams/1/requests"));
  std::vector<std::string> said;
  const auto verified = verify_log(w.sim.files, "/new/streams/1", {}, [&](const Finding& f) {
    if (f.grade == Finding::Grade::damage) said.push_back(f.kind + " " + f.text);
  });
  ASSERT_TRUE(verified);
  EXPECT_THAT(said, ::testing::IsEmpty());
  // And it is there once more, under another name.
  const auto again = make_backup(w.sim.env, how);
  ASSERT_TRUE(again);
  ASSERT_TRUE(w.restore("", true));
}

TEST(Backup, RestoredLogHasAnEpochThatNoLifeOfTheOldOneReaches) {
  BackupWorld w;
  ASSERT_TRUE(w.backup());
  const Epoch before = w.engine->find(in_default("a"))->log().status().epoch;
  ASSERT_TRUE(w.restore("/one"));
  w.sim.clock.advance(std::chrono::seconds(10));
  ASSERT_TRUE(w.restore("/two"));
  Epoch one, two;
  EXPECT_EQ(w.records_of("/one", &one), w.written);
  EXPECT_EQ(w.records_of("/two", &two), w.written);
  EXPECT_GT(one.value(), before.value() + 1);
  EXPECT_NE(one, two);
}

TEST(Backup, DamagedFileIsNamedAndNothingIsMade) {
  BackupWorld w;
  const auto done = w.backup(false);
  ASSERT_TRUE(done);
  for (const BackupFile& f : done->content.files) {
    const std::string path = "/backup/" + f.path;
    ASSERT_TRUE(w.sim.files.flip_bit(path, f.bytes / 2, 3));
    const auto refused = w.restore("/new");
    ASSERT_FALSE(refused);
    EXPECT_TRUE(refused.error() == BackupErrc::backup_damaged);
    EXPECT_THAT(w.damaged, ::testing::ElementsAre(path));
    EXPECT_FALSE(exists(w.sim.files, "/new"));
    ASSERT_TRUE(w.sim.files.flip_bit(path, f.bytes / 2, 3));
  }
  ASSERT_TRUE(w.restore("", true));
}

TEST(Backup, OneThatIsCutShortLeavesTheOneBeforeOrTheNewOneWhole) {
  std::uint64_t before = 0, after = 0;
  for (std::uint64_t step = 1;; ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    BackupWorld w(step);
    ASSERT_TRUE(w.backup());
    const auto then = w.written;
    w.fill(14);
    w.sim.files.cut_at_step(w.sim.files.steps() + step);
    const auto second = w.backup();
    const bool cut = !w.sim.files.powered();
    w.crash();
    const auto restored = w.restore("/new");
    ASSERT_TRUE(restored) << restored.error().message();
    if (second) {
      ASSERT_EQ(restored->number, 2u);
    }
    ++(restored->number == 1 ? before : after);
    ASSERT_EQ(w.records_of("/new"), restored->number == 1 ? then : w.written);
    ASSERT_EQ(w.records_of("/data"), w.written) << "the server's own directory";
    if (!cut) break;
  }
  EXPECT_GT(before, 5u);
  EXPECT_GT(after, 1u);
}

TEST(Backup, EachCallThatFailsLeavesTheOneBeforeOrTheNewOneWhole) {
  std::uint64_t failed = 0;
  for (const int error : {EIO, ENOSPC}) {
    for (std::uint64_t nth = 1;; nth += kStride) {
      SCOPED_TRACE("call " + std::to_string(nth) + ", error " + std::to_string(error));
      BackupWorld w(nth);
      ASSERT_TRUE(w.backup());
      const auto then = w.written;
      w.fill(14);
      const auto ops = static_cast<std::uint32_t>(DiskOp::change) | static_cast<std::uint32_t>(DiskOp::open) |
                       static_cast<std::uint32_t>(DiskOp::read) | static_cast<std::uint32_t>(DiskOp::list);
      w.sim.files.fail({static_cast<DiskOp>(ops), "", nth, 1, error});
      const auto second = w.backup();
      const bool hit = w.sim.files.faults_hit() != 0;
      w.sim.files.clear_faults();
      failed += second ? 0 : 1;
      const auto restored = w.restore("/new");
      ASSERT_TRUE(restored) << restored.error().message();
      if (second) {
        ASSERT_EQ(restored->number, 2u);
      }
      ASSERT_EQ(w.records_of("/new"), restored->number == 1 ? then : w.written);
      // And the next one goes on as if nothing had been.
      const auto third = w.backup();
      ASSERT_TRUE(third) << third.error().message();
      ASSERT_TRUE(w.restore("", true));
      if (!hit) break;
    }
  }
  EXPECT_GT(failed * kStride, 20u);
}

TEST(Backup, RestoreThatIsCutShortLeavesNothingThatPassesForTheWhole) {
  std::uint64_t refused = 0;
  for (std::uint64_t step = 1;; ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    BackupWorld w(step);
    ASSERT_TRUE(w.backup());
    w.sim.files.cut_at_step(w.sim.files.steps() + step);
    const auto restored = w.restore("/new");
    const bool cut = !w.sim.files.powered();
    w.crash();
    const bool begun = exists(w.sim.files, "/new/streams");
    const auto records = w.records_of("/new");
    if (restored) {
      ASSERT_EQ(records, w.written);
    } else if (begun && records != w.written) {
      ASSERT_EQ(records.size(), 1u);
      ASSERT_THAT(records[0], ::testing::HasSubstr("not opened"));
      ++refused;
    }
    if (!cut) break;
  }
  EXPECT_GT(refused, 5u);
}

TEST(Backup, AtRestTheLogsAreCutWhereTheyEnd) {
  BackupWorld w;
  w.kill();
  auto reader = DataReader::open(w.sim.env, "/data", {});
  ASSERT_TRUE(reader) << reader.error().message();
  BackupOptions how;
  how.data = "/data";
  how.to = "/backup";
  how.cut = [&] { return (*reader)->cut_at_rest(); };
  const auto done = make_backup(w.sim.env, how);
  ASSERT_TRUE(done) << done.error().message();
  reader->reset();
  ASSERT_TRUE(w.restore("/new"));
  EXPECT_EQ(w.records_of("/new"), w.written);
}

TEST(Backup, LogWhoseEndIsLostIsNotCopiedAsIfItWereWhole) {
  BackupWorld w;
  const LogCut cut = w.engine->find(in_default("a"))->log().cut();
  w.close();
  const std::string last = "/data/streams/1/" + segment_file_name(cut.segments.back());
  ASSERT_TRUE(w.sim.files.overwrite(last, cut.end.value() - 4096, std::string(4096, '\0')));
  auto reader = DataReader::open(w.sim.env, "/data", {});
  ASSERT_TRUE(reader);
  const auto at_rest = (*reader)->cut_at_rest();
  ASSERT_FALSE(at_rest);
  EXPECT_TRUE(at_rest.error() == StorageErrc::damaged);
}

// What retention had removed before the backup is no damage of what is restored.
TEST(Backup, RestoredLogBeginsWhereRetentionLeftIt) {
  BackupWorld w;
  Log& log = w.engine->find(in_default("a"))->log();
  ASSERT_TRUE(log.drop_before(Sequence(13)));
  const Sequence start = log.start();
  const Sequence durable = log.durable();
  ASSERT_GT(start, Sequence(1));
  ASSERT_TRUE(w.backup());
  ASSERT_TRUE(w.restore("/restored"));
  std::vector<std::string> named;
  const auto looked = verify_log(w.sim.files, "/restored/streams/1", {}, [&](const Finding& f) {
    if (f.grade == Finding::Grade::damage) named.push_back(f.text);
  });
  ASSERT_TRUE(looked);
  EXPECT_THAT(named, testing::IsEmpty());
  const auto opened = Log::open(w.sim.env, "/restored/streams/1", w.options.log);
  ASSERT_TRUE(opened);
  EXPECT_EQ((*opened)->start(), start);
  EXPECT_EQ((*opened)->durable(), durable);
  EXPECT_TRUE((*opened)->status().damage.empty());
  const auto batch = (*opened)->read(start, {});
  ASSERT_TRUE(batch);
  EXPECT_TRUE(batch->lost.empty());
}

TEST(Backup, FileThatWentMeanwhileMakesItAskForTheCutAgain) {
  BackupWorld w;
  int asked = 0;
  BackupOptions how;
  how.data = "/data";
  how.to = "/backup";
  how.cut = [&]() -> Result<DataCut> {
    DataCut cut = w.engine->cut();
    // As if retention took a segment away between the cut and the copy.
    if (++asked == 2)
      cut.streams.back().log.segments.insert(cut.streams.back().log.segments.begin(),
                                             SegmentName{SegmentId(999), Sequence(1)});
    return cut;
  };
  const auto done = make_backup(w.sim.env, how);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(asked, 3);
  ASSERT_TRUE(w.restore("/new"));
  EXPECT_EQ(w.records_of("/new"), w.written);
}

}  // namespace
}  // namespace tidemill
