// What readers of one shard among very many cost: counted, not timed.

#include <gtest/gtest.h>

#include <numeric>

#include "tests/storage/log/log_world.h"

namespace tidemill {
namespace {

// Shard i of 10,000 that are all but equally wide.
constexpr std::uint64_t kShards = 10'000;
HashRange range_of(std::uint64_t i) {
  constexpr std::uint64_t kWidth = ~0ull / kShards;
  return {{kWidth * i, 0}, {i + 1 == kShards ? ~0ull : kWidth * (i + 1) - 1, ~0ull}};
}
HashKey key_in(std::uint64_t shard) {
  return {range_of(shard).first.high + 12345, 7};
}

struct TailCost : ::testing::Test {
  LogWorld w;

  TailCost() {
    w.options.commit_bytes_max = 4 << 20;
    w.options.segment_bytes_first = 8 << 20;
    w.options.segment_bytes_max = 8 << 20;
    w.options.tail_cache_bytes = 16 << 20;
    w.open();
  }
  // One commit with a record of about `bytes` in each of these shards.
  void put(const std::vector<std::uint64_t>& shards, std::size_t bytes = 50) {
    TestRequest& r = w.prepare(shards.size(), bytes, {});
    for (std::size_t i = 0; i < shards.size(); ++i) r.records[i].hash = key_in(shards[i]);
    w.log->append(&r.append);
    w.sim.executor.run_until([&] { return r.answers == 1; });
    ASSERT_TRUE(r.ok());
  }
  std::vector<std::uint64_t> read(std::uint64_t shard, Sequence from = Sequence(1)) {
    ReadOptions options;
    options.range = range_of(shard);
    std::vector<std::uint64_t> sequences;
    const auto batch = w.log->read(from, options);
    EXPECT_TRUE(batch);
    if (!batch) return {};
    EXPECT_EQ(batch->next, next(w.log->durable()));
    for (const Record& r : batch->records) sequences.push_back(r.sequence.value());
    return sequences;
  }
  std::uint64_t lanes_read() { return w.log->metrics().lanes_read.value(); }
  std::uint64_t lanes_decoded() { return w.log->metrics().lanes_decoded.value(); }
};

TEST_F(TailCost, WhoListensToAShardIsNotWokenForOthers) {
  std::vector<std::uint64_t> woken(kShards);
  std::vector<std::pair<Sequence, Sequence>> heard;
  std::vector<std::shared_ptr<void>> handles;
  for (std::uint64_t i = 0; i < kShards; i += 10)
    handles.push_back(w.log->listen_in(range_of(i), [&, i](Sequence first, Sequence durable) {
      ++woken[i];
      EXPECT_EQ(durable, w.log->durable());
      if (i == 5000) heard.emplace_back(first, durable);
    }));
  const auto all = [&] { return std::accumulate(woken.begin(), woken.end(), std::uint64_t{0}); };
  for (std::uint64_t n = 1; n < 200; ++n) put({n * 7 % kShards / 10 * 10 + 1 + n % 9});  // neighbours of all of them
  EXPECT_EQ(all(), 0u);
  put({4999, 5000, 5001});
  put({5000});
  EXPECT_EQ(all(), 2u);
  EXPECT_EQ(woken[5000], 2u);
  using Pair = std::pair<Sequence, Sequence>;
  EXPECT_EQ(heard, (std::vector<Pair>{{Sequence(200), Sequence(202)}, {Sequence(203), Sequence(203)}}));
  handles.clear();
  put({5000});
  EXPECT_EQ(all(), 2u);
}

// Sixteen lanes of 100 KB each: a shard's reader goes through its own.
TEST_F(TailCost, AReaderGoesThroughItsLaneOnly) {
  std::vector<std::uint64_t> shards;
  for (std::uint64_t i = 0; i < 1600; ++i) shards.push_back(i * kShards / 1600);
  put(shards, 1000);
  std::uint64_t before = lanes_read();
  const auto found = read(shards[100]);
  EXPECT_EQ(found, (std::vector<std::uint64_t>{101}));
  EXPECT_LE(lanes_read() - before, 2u);  // a range may lie across the edge of two
  before = lanes_read();
  read(9'999);
  EXPECT_EQ(lanes_read() - before, 1u);
  // A small commit has one lane; who has no record in its part of the hash space does not go through that either.
  put({0, 1, 2});
  before = lanes_read();
  EXPECT_TRUE(read(9'000, Sequence(1601)).empty());
  EXPECT_EQ(lanes_read() - before, 0u);
  EXPECT_EQ(read(1, Sequence(1601)), (std::vector<std::uint64_t>{1602}));
  EXPECT_EQ(lanes_read() - before, 1u);
  EXPECT_EQ(lanes_decoded(), 0u);
}

// What the writer had in memory is what all readers of the end share: nothing is read back and decompressed, however
// many they are. From the disk a reader decodes the lanes that it needs.
TEST_F(TailCost, RecentCommitsAreDecodedForNobody) {
  for (std::uint64_t commit = 0; commit < 5; ++commit) {
    std::vector<std::uint64_t> shards;
    for (std::uint64_t i = 0; i < 320; ++i) shards.push_back((i * 31 + commit) % kShards);
    put(shards, 1000);
    for (std::uint64_t tail = 0; tail < 200; ++tail) read(tail * 50, Sequence(commit * 320 + 1));
  }
  EXPECT_EQ(lanes_decoded(), 0u);
  EXPECT_GT(lanes_read(), 1000u);
  w.close();
  w.open();
  const auto found = read(31);
  EXPECT_EQ(found.size(), 1u);
  EXPECT_GE(lanes_decoded(), 5u);       // one of each commit
  EXPECT_LE(lanes_decoded(), 5u * 2u);  // not all of each
}

}  // namespace
}  // namespace tidemill
