// Reading old records: they come whole and in order whatever the pages, and what the page cache is told.

#include "tests/storage/log/log_world.h"

namespace tidemill {
namespace {

struct HistoryWorld : LogWorld {
  HistoryWorld() {
    options.segment_bytes_first = options.segment_bytes_max = 2 << 20;
    options.commit_bytes_max = 64 << 10;
    open();
    for (int i = 0; i < 60; ++i) {
      const TestRequest& r = append(100, 900);
      EXPECT_TRUE(r.ok()) << r.append.error.message();  // about 100 KB a commit
    }
    run();
    settle_requests();
    sim.files.take_hints();
  }
  // From the first record on, a page at a time, through the sealed segments.
  std::vector<DiskHint> walk(std::uint32_t page, bool historical) {
    ReadOptions with;
    with.historical = historical;
    with.records_max = page;
    EXPECT_EQ(read_all(with).records.size(), acknowledged.size());
    return sim.files.take_hints();
  }
};

TEST(HistoricalRead, DropsWhatItPassedAndReadsAhead) {
  HistoryWorld w;
  ASSERT_GE(w.log->status().segments, 3u);
  std::map<std::string, std::uint64_t> dropped_to, dropped;
  for (const DiskHint& h : w.walk(500, true)) {
    if (h.kind == DiskHint::read_ahead) {
      EXPECT_GE(h.offset, dropped_to[h.path]) << "what comes next, not what was just dropped";
      EXPECT_LE(h.length, 1u << 20);
      continue;
    }
    EXPECT_EQ(h.offset % 4096, 0u);
    EXPECT_GE(h.offset, dropped_to[h.path]) << "each page once, and never what is still to be read";
    dropped_to[h.path] = h.offset + h.length;
    dropped[h.path] += h.length;
  }
  ASSERT_GE(dropped.size(), 2u) << "the sealed segments";
  EXPECT_LT(dropped.size(), w.log->status().segments) << "not the active one";
  for (const auto& [path, bytes] : dropped) EXPECT_GE(bytes, 1'500'000u) << path;
}

TEST(HistoricalRead, ASmallLookDropsNothing) {
  HistoryWorld w;
  for (const DiskHint& h : w.walk(20, true)) EXPECT_EQ(h.kind, DiskHint::read_ahead);
}

TEST(HistoricalRead, OtherReadersLeaveTheCacheAlone) {
  HistoryWorld w;
  EXPECT_TRUE(w.walk(1'000, false).empty());
}

TEST(HistoricalRead, SaysWhetherItCameFromTheDisk) {
  HistoryWorld w;
  EXPECT_TRUE(w.log->read(Sequence(1), {})->from_disk);
  w.append(1);
  EXPECT_FALSE(w.log->read(w.log->durable(), {})->from_disk);
}

}  // namespace
}  // namespace tidemill
