#include <gtest/gtest.h>

#include "storage/log/block.h"
#include "storage/log/checksum.h"
#include "storage/log/commit_reader.h"
#include "storage/log/commit_writer.h"
#include "storage/log/compression.h"
#include "storage/log/record_codec.h"
#include "tests/storage/log/log_world.h"

namespace tidemill {
namespace {

struct Made {
  std::vector<std::unique_ptr<TestRequest>> requests;
  std::vector<const NewRecord*> records;
  const Append* head = nullptr;
};

// Requests of random shape, linked as the queue links them.
Made make(SimRandom& random, std::size_t requests, std::size_t records_max, std::size_t bytes_max, bool skewed) {
  Made made;
  for (std::size_t i = 0; i < requests; ++i) {
    TestRequest& r = *made.requests.emplace_back(std::make_unique<TestRequest>());
    const std::size_t count = random.below(records_max + 1);
    r.texts.reserve(count);
    r.keys.reserve(count);
    for (std::size_t n = 0; n < count; ++n) {
      std::string text(random.below(bytes_max + 1), 'x');
      for (char& c : text) c = static_cast<char>(random.one_in(3) ? random.below(256) : 'a');
      r.texts.push_back(std::move(text));
      r.keys.push_back(std::string(random.one_in(50) ? 65'535 : random.below(40), 'k'));
      NewRecord record;
      record.key = r.keys.back();
      record.hash = {random.next() >> (skewed ? 3 : 0), random.next()};
      record.explicit_hash = random.one_in(2);
      record.content = random.one_in(2) ? ContentType::json : ContentType::bytes;
      record.arrival = WallTime(std::chrono::milliseconds(static_cast<std::int64_t>(random.next() >> 20)));
      if (random.one_in(3)) record.headers = "h";
      record.data = r.texts.back();
      r.records.push_back(record);
    }
    for (const NewRecord& record : r.records) made.records.push_back(&record);
    r.append.records = r.records;
    if (random.one_in(3)) {
      r.append.identity = RequestIdentity{{std::byte{1}, std::byte(i)}, random.next()};
      r.rejected.resize(random.below(5), {3, 4});
      r.append.rejected = r.rejected;
    }
  }
  for (std::size_t i = 0; i + 1 < requests; ++i) made.requests[i]->append.next_queued = &made.requests[i + 1]->append;
  made.head = &made.requests[0]->append;
  return made;
}

CommitWriter::Context context(std::span<const CommitExtension> extensions = {}) {
  CommitWriter::Context c;
  c.salt = 77;
  c.incarnation = Incarnation(5);
  c.epoch = Epoch(3);
  c.first = Sequence(1000);
  c.wall = WallTime(std::chrono::milliseconds(1'700'000'000'000));
  c.running_max = WallTime(std::chrono::milliseconds(1'700'000'000'500));
  c.extensions = extensions;
  return c;
}

std::shared_ptr<const Block> decode(std::span<const std::byte> bytes, const CommitHeader& h, const HashRange& range) {
  auto block = std::make_shared<Block>(h, range);
  for (std::size_t i = 0; i < block->lanes(); ++i) {
    const Lane& lane = h.lane[block->lane_number(i)];
    EXPECT_TRUE(lane_valid(bytes.subspan(lane.offset, lane.extent), lane, 77));
    EXPECT_TRUE(read_lane(bytes.subspan(lane.offset, lane.extent), lane, block->lane(i)));
  }
  return block;
}

void expect_same(const Record& r, const NewRecord& n) {
  ASSERT_TRUE(r.key == n.key);
  ASSERT_TRUE(r.data == n.data);
  ASSERT_EQ(r.headers, n.headers);
  ASSERT_EQ(r.hash, n.hash);
  ASSERT_EQ(r.explicit_hash, n.explicit_hash);
  ASSERT_EQ(r.content, n.content);
  ASSERT_EQ(r.arrival, n.arrival);
}

TEST(CommitCodec, RandomCommitsComeBack) {
  SimRandom random(11);
  CommitWriter writer;
  std::set<std::size_t> lanes_seen;
  for (int i = 0; i < 150; ++i) {
    const std::size_t sizes[] = {0, 30, 300, 4000, 60'000};
    const Made made = make(random, 1 + random.below(20), random.below(30), sizes[random.below(5)], random.one_in(3));
    const EncodedCommit commit = writer.encode(made.head, context());
    ASSERT_EQ(commit.bytes.size() % kBlockBytes, 0u);
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(commit.bytes.data()) % kBlockBytes, 0u);
    const auto h = read_commit(commit.bytes, 77, Incarnation(5));
    ASSERT_TRUE(h);
    ASSERT_EQ(h->count, made.records.size());
    ASSERT_EQ(h->first, Sequence(1000));
    ASSERT_EQ(h->epoch, Epoch(3));
    ASSERT_EQ(h->length, commit.bytes.size());
    lanes_seen.insert(h->lanes);
    if (h->lanes > 1) {
      for (std::size_t l = 0; l < h->lanes; ++l) EXPECT_GE(h->lane[l].raw, kLaneBytesMin / 2);
    }

    RecordBatch batch;
    batch.next = h->first;
    std::uint64_t bytes = 0;
    ReadOptions all;
    all.records_max = ~0u;
    all.bytes_max = ~0ull;
    const auto block = decode(commit.bytes, *h, all.range);
    if (h->count != 0) {
      ASSERT_EQ(block->take(h->last(), all, batch, bytes), Block::Taken::all);
    }
    ASSERT_EQ(batch.records.size(), made.records.size());
    for (std::size_t n = 0; n < made.records.size(); ++n) {
      ASSERT_EQ(batch.records[n].sequence, next(h->first, n));
      expect_same(batch.records[n], *made.records[n]);
    }

    const auto requests = read_requests(commit.bytes, *h);
    ASSERT_TRUE(requests);
    std::size_t keyed = 0;
    std::uint64_t at = 1000;
    for (const auto& r : made.requests) {
      if (r->append.identity) {
        ASSERT_LT(keyed, requests->size());
        const StoredRequest& stored = (*requests)[keyed++];
        EXPECT_EQ(stored.identity.key_hash, r->append.identity->key_hash);
        EXPECT_EQ(stored.identity.body_hash, r->append.identity->body_hash);
        EXPECT_EQ(stored.accepted, r->records.size());
        EXPECT_EQ(stored.first, r->records.empty() ? Sequence() : Sequence(at));
        EXPECT_EQ(stored.rejected, r->rejected);
      }
      at += r->records.size();
    }
    EXPECT_EQ(keyed, requests->size());
  }
  EXPECT_TRUE(lanes_seen.contains(1));
  EXPECT_GE(*lanes_seen.rbegin(), 8u);
}

TEST(CommitCodec, ReaderOfARangeNeedsItsLanesOnly) {
  SimRandom random(12);
  CommitWriter writer;
  const Made made = make(random, 20, 200, 1000, false);
  const EncodedCommit commit = writer.encode(made.head, context());
  const auto h = read_commit(commit.bytes, 77, Incarnation(5));
  ASSERT_TRUE(h);
  ASSERT_GE(h->lanes, 4u);
  HashRange range{{0x4000'0000'0000'0000, 1}, {0x5fff'ffff'ffff'ffff, 7}};
  const auto block = decode(commit.bytes, *h, range);
  EXPECT_LT(block->lanes(), h->lanes);
  RecordBatch batch;
  batch.next = h->first;
  std::uint64_t bytes = 0;
  ReadOptions options;
  options.range = range;
  ASSERT_EQ(block->take(h->last(), options, batch, bytes), Block::Taken::all);
  EXPECT_EQ(batch.next, h->end());
  std::size_t at = 0;
  for (std::size_t n = 0; n < made.records.size(); ++n) {
    if (!range.contains(made.records[n]->hash)) continue;
    ASSERT_LT(at, batch.records.size());
    ASSERT_EQ(batch.records[at].sequence, next(h->first, n));
    expect_same(batch.records[at++], *made.records[n]);
  }
  EXPECT_EQ(at, batch.records.size());
}

TEST(CommitCodec, CompressesOnlyWhereThatSavesABlock) {
  CommitWriter writer;
  const auto encode = [&](std::size_t records, char fill) {
    TestRequest r;
    SimRandom random(3);
    for (std::size_t i = 0; i < records; ++i) {
      std::string& text = r.texts.emplace_back(200, fill);
      if (fill == '?') {
        for (char& c : text) c = static_cast<char>(random.below(256));
      }
    }
    for (const std::string& text : r.texts) {
      NewRecord record;
      record.hash = {random.next(), 1};
      record.data = text;
      r.records.push_back(record);
    }
    r.append.records = r.records;
    return writer.encode(&r.append, context()).header;
  };
  EXPECT_EQ(encode(10, 'a').lane[0].codec, LaneCodec::raw);  // one block anyway
  EXPECT_EQ(encode(60, 'a').lane[0].codec, LaneCodec::lz4);
  EXPECT_EQ(encode(60, 'a').length, kBlockBytes);
  EXPECT_EQ(encode(60, '?').lane[0].codec, LaneCodec::raw);  // will not shrink
}

TEST(CommitCodec, ExtensionsOfUnknownTypesAreCarried) {
  CommitWriter writer;
  TestRequest r;
  r.append.identity = RequestIdentity{};
  const std::array<std::byte, 3> a{std::byte{1}, std::byte{2}, std::byte{3}};
  const std::array<CommitExtension, 2> extensions{CommitExtension{9, a}, CommitExtension{10, {}}};
  const EncodedCommit commit = writer.encode(&r.append, context(extensions));
  const auto h = read_commit(commit.bytes, 77, Incarnation(5));
  ASSERT_TRUE(h);
  const auto back = read_extensions(commit.bytes, *h);
  ASSERT_TRUE(back);
  ASSERT_EQ(back->size(), 2u);
  EXPECT_EQ((*back)[0].type, 9);
  EXPECT_TRUE(std::equal(a.begin(), a.end(), (*back)[0].bytes.begin(), (*back)[0].bytes.end()));
  EXPECT_EQ((*back)[1].type, 10);
}

TEST(CommitCodec, AnotherSaltOrIncarnationIsNotValid) {
  CommitWriter writer;
  SimRandom random(4);
  const Made made = make(random, 3, 5, 100, false);
  const EncodedCommit commit = writer.encode(made.head, context());
  EXPECT_FALSE(read_commit(commit.bytes, 78, Incarnation(5)));
  EXPECT_FALSE(read_commit(commit.bytes, 77, Incarnation(6)));
  CommitHeader h = *read_commit(commit.bytes, 77, Incarnation(5));
  reseal_commit(commit.bytes, h, 78);
  EXPECT_FALSE(read_commit(commit.bytes, 77, Incarnation(5)));
  const auto again = read_commit(commit.bytes, 78, Incarnation(5));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->checksum, h.checksum);
}

// All bytes of a commit count, the padding too; and no bytes make the readers misbehave.
TEST(CommitCodec, EveryFlippedBitIsSeen) {
  CommitWriter writer;
  SimRandom random(5);
  const Made made = make(random, 4, 6, 300, false);
  const EncodedCommit commit = writer.encode(made.head, context());
  std::vector<std::byte> bytes(commit.bytes.begin(), commit.bytes.end());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] ^= std::byte(1 << (i % 8));
    ASSERT_FALSE(read_commit(bytes, 77, Incarnation(5))) << i;
    bytes[i] ^= std::byte(1 << (i % 8));
  }
}

TEST(CommitCodec, NonsenseUnderAValidChecksumIsRefused) {
  CommitWriter writer;
  SimRandom random(6);
  const Made made = make(random, 6, 8, 200, false);
  const EncodedCommit commit = writer.encode(made.head, context());
  const CommitHeader good = *read_commit(commit.bytes, 77, Incarnation(5));
  for (int i = 0; i < 20'000; ++i) {
    std::vector<std::byte> bytes(commit.bytes.begin(), commit.bytes.end());
    for (std::uint64_t n = 1 + random.below(4); n > 0; --n) {
      bytes[8 + random.below(good.lane[0].offset + good.lane[0].stored - 8)] = std::byte(random.below(256));
    }
    // Seal it whatever it says now, as far as its own lengths allow.
    const auto shape = commit_shape(bytes);
    if (!shape || shape->header_bytes > bytes.size()) continue;
    const std::uint64_t sum = checksum(std::span(bytes).subspan(8, shape->header_bytes - 8), 77);
    std::memcpy(bytes.data(), &sum, sizeof sum);
    const auto h = read_commit_header(bytes, 77, Incarnation(5));
    if (!h || h->length > bytes.size()) continue;
    static_cast<void>(read_requests(bytes, *h));
    static_cast<void>(read_extensions(bytes, *h));
    if (h->count == 0) continue;
    Block block(*h, HashRange{});
    bool readable = true;
    for (std::size_t l = 0; l < block.lanes(); ++l) {
      const Lane& lane = h->lane[block.lane_number(l)];
      readable &= read_lane(std::span(bytes).subspan(lane.offset, lane.extent), lane, block.lane(l));
    }
    if (!readable) continue;
    RecordBatch batch;
    batch.next = h->first;
    std::uint64_t size = 0;
    auto shared = std::make_shared<Block>(*h, HashRange{});
    for (std::size_t l = 0; l < block.lanes(); ++l) {
      std::copy(block.lane(l).begin(), block.lane(l).end(), shared->lane(l).begin());
    }
    static_cast<void>(shared->take(h->last(), {}, batch, size));
  }
}

TEST(Compression, RefusesWhatIsNotWhole) {
  Compressor compressor;
  const std::vector<std::byte> raw(10'000, std::byte{7});
  std::vector<std::byte> stored(Compressor::bytes_max(raw.size()));
  const std::size_t n = compressor.compress(raw, stored);
  ASSERT_GT(n, 0u);
  std::vector<std::byte> back(raw.size());
  EXPECT_TRUE(decompress(std::span(stored).first(n), back));
  EXPECT_EQ(back, raw);
  EXPECT_FALSE(decompress(std::span(stored).first(n - 1), back));
  std::vector<std::byte> other(raw.size() - 1);
  EXPECT_FALSE(decompress(std::span(stored).first(n), other));
}

}  // namespace
}  // namespace tidemill
