#include "storage/log/verify_log.h"

#include "storage/log/read_only_log.h"
#include "storage/log/segment_file.h"
#include "storage/seam/read_only_file_system.h"
#include "tests/storage/log/log_world.h"

namespace tidemill {
namespace {

struct Seen final : RecordVisitor {
  void records(std::span<const Record> some) override {
    for (const Record& r : some) texts.emplace(r.sequence.value(), std::string(r.data));
  }
  void lost(Sequence first, Sequence last) override { ranges.emplace_back(first.value(), last.value()); }
  std::map<std::uint64_t, std::string> texts;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
};

// A log of several small segments, and what verify says of it.
struct VerifyWorld : LogWorld {
  VerifyWorld() {
    options.segment_bytes_first = options.segment_bytes_max = 32 << 10;
    options.commit_bytes_max = 8 << 10;
    open();
    for (int i = 0; i < 24; ++i) append(3, i % 3 == 0 ? 900 : 60, i % 2 == 0 ? "key" + std::to_string(i) : "");
    sim.executor.run_for(std::chrono::milliseconds(300));
  }
  void look(std::optional<LogCut> cut = {}) {
    found.clear();
    seen = {};
    VerifyLogOptions how;
    how.cut = std::move(cut);
    how.visitor = &seen;
    const std::uint64_t steps = sim.files.steps();
    auto verified = verify_log(sim.files, directory, how, [this](const Finding& f) { found.push_back(f); });
    ASSERT_TRUE(verified) << verified.error().message();
    ASSERT_EQ(sim.files.steps(), steps) << "it altered something";
    facts = std::move(*verified);
  }
  std::size_t damages() const {
    return static_cast<std::size_t>(
        std::count_if(found.begin(), found.end(), [](const auto& f) { return f.grade == Finding::Grade::damage; }));
  }
  std::string said() const {
    std::string out;
    for (const Finding& f : found)
      out += f.kind + " " + f.file + " " + std::to_string(f.offset.value()) + " " + std::to_string(f.first.value()) +
             "-" + std::to_string(f.last.value()) + " " + f.text + "\n";
    return out;
  }
  std::vector<Finding> found;
  Seen seen;
  VerifiedLog facts;
};

TEST(VerifyLog, HasNothingToSayOfALogThatWasClosed) {
  VerifyWorld w;
  w.close();
  w.look();
  EXPECT_EQ(w.said(), "");
  EXPECT_EQ(w.seen.texts, w.acknowledged);
  EXPECT_EQ(w.facts.records, w.acknowledged.size());
  EXPECT_EQ(w.facts.cut.last, Sequence(w.acknowledged.size()));
  EXPECT_GT(w.facts.segments, 2u);
  EXPECT_EQ(w.facts.requests, 12u);
}

TEST(VerifyLog, HasNothingToSayOfALogThatWasKilledAndStartedAgain) {
  VerifyWorld w;
  for (int i = 0; i < 4; ++i) {
    w.kill();
    w.look();
    EXPECT_EQ(w.damages(), 0u) << w.said();
    w.open();
    w.append(2);
  }
  w.close();
  w.look();
  EXPECT_EQ(w.said(), "");
  EXPECT_EQ(w.seen.texts, w.acknowledged);
}

TEST(VerifyLog, FollowsTheCutOfALogThatIsWrittenOn) {
  VerifyWorld w;
  const LogCut cut = w.log->cut();
  const auto then = w.acknowledged;
  for (int i = 0; i < 20; ++i) w.append(4, 700);
  w.look(cut);
  EXPECT_EQ(w.said(), "");
  EXPECT_EQ(w.seen.texts, then);
  EXPECT_EQ(w.facts.cut, cut);
}

TEST(VerifyLog, NamesAMissingSegmentAndWhatWasInIt) {
  VerifyWorld w;
  w.close();
  const auto segments = w.files(".seg");
  ASSERT_GT(segments.size(), 2u);
  const auto slash = segments[1].find_last_of('/') + 1;
  const auto name = *parse_segment_file_name(segments[1].substr(slash));
  const auto after = *parse_segment_file_name(segments[2].substr(slash));
  ASSERT_TRUE(w.sim.files.remove(segments[1]));
  w.look();
  ASSERT_GE(w.damages(), 1u);
  EXPECT_EQ(w.found[0].kind, "missing") << w.said();
  EXPECT_EQ(w.found[0].first, name.first);
  EXPECT_EQ(w.found[0].last, Sequence(after.first.value() - 1));
  ASSERT_EQ(w.seen.ranges.size(), 1u);
  EXPECT_EQ(w.seen.texts.size() + after.first.value() - name.first.value(), w.acknowledged.size());
}

TEST(VerifyLog, TornTailIsANoteAndAnIndexThatLiesIsDamage) {
  VerifyWorld w;
  const auto end = w.log->cut().end;
  w.close();
  const auto last = w.files(".seg").back();
  ASSERT_TRUE(w.sim.files.overwrite(last, end.value() + 5, "x"));
  w.look();
  ASSERT_EQ(w.found.size(), 1u) << w.said();
  EXPECT_EQ(w.found[0].kind, "torn-tail");
  EXPECT_EQ(w.found[0].offset.value(), end.value() + 5);

  // Another segment's index, sealed with the right salt.
  const auto first = w.files(".seg").front();
  const auto name = *parse_segment_file_name(first.substr(first.find_last_of('/') + 1));
  const auto segment = open_segment(w.sim.files, w.directory, name, OpenMode::read, {}, null_logger());
  ASSERT_TRUE(segment);
  IndexEntry lie;
  lie.first = Sequence(1);
  lie.count = 1;
  const auto bytes = make_index(std::span(&lie, 1), (*segment)->header.salt, ByteOffset(8192));
  ASSERT_TRUE(w.sim.files.overwrite(w.directory + "/" + index_file_name(name.id), 0,
                                    {reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  w.look();
  EXPECT_EQ(w.damages(), 1u) << w.said();
  EXPECT_EQ(w.found[0].kind, "index") << w.said();
}

TEST(VerifyLog, CommitBelowTheMarkThatIsGoneIsDamageAlsoAtTheEnd) {
  VerifyWorld w;
  // Behind the commit that was flushed with the segment, for which its header answers.
  while (w.append(2).ok() && w.log->cut().end.value() <= kSegmentHeaderBytes + 2 * 4096) continue;
  const std::uint64_t end = w.log->cut().end.value();
  w.close();
  const auto last = w.files(".seg").back();
  ASSERT_TRUE(w.sim.files.overwrite(last, end - 4096, std::string(4096, '\0')));
  w.look();
  ASSERT_EQ(w.damages(), 1u) << w.said();
  EXPECT_EQ(w.found[0].kind, "commit");
  EXPECT_EQ(w.found[0].offset.value(), end - 4096);
  EXPECT_EQ(w.found[0].last, Sequence(w.acknowledged.size()));
}

TEST(VerifyLog, SectorThatCannotBeReadIsDamageAndTheRestIsLookedAt) {
  VerifyWorld w;
  w.close();
  const auto segments = w.files(".seg");
  std::uint64_t hits = 0;
  for (std::uint64_t nth = 1;; ++nth) {
    w.sim.files.fail({DiskOp::read, segments[1], nth, 2, EIO});
    w.look();
    w.sim.files.clear_faults();
    if (w.sim.files.faults_hit() == hits) break;
    hits = w.sim.files.faults_hit();
    ASSERT_GE(w.damages(), 1u) << nth;
    std::uint64_t lost = 0;
    for (const auto& [first, last] : w.seen.ranges) lost += last - first + 1;
    EXPECT_EQ(w.seen.texts.size() + lost, w.acknowledged.size()) << w.said();
    for (const auto& [sequence, text] : w.seen.texts) EXPECT_EQ(text, w.acknowledged[sequence]);
  }
  EXPECT_GT(hits, 2u);
}

TEST(ReadOnlyLog, ServesWhatTheLogHadAndAltersNothing) {
  VerifyWorld w;
  w.kill();
  const std::uint64_t steps = w.sim.files.steps();
  ReadOnlyFileSystem only(w.sim.files);
  Env env{only, w.sim.clock, w.sim.random, w.sim.executor, w.sim.executor, null_logger()};
  auto log = open_log_read_only(env, w.directory, {}, {});
  ASSERT_TRUE(log) << log.error().message();
  w.log = *log;
  w.expect_nothing_lost();
  EXPECT_FALSE(w.append(1).ok());
  EXPECT_EQ(w.sim.files.steps(), steps);
}

}  // namespace
}  // namespace tidemill
