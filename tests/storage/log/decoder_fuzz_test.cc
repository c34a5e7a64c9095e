// Every decoder against bytes that were altered at random and then given a right checksum, so that the checks behind it
// are met too. Nothing may crash, read out of bounds (run it under the address sanitizer) or ask for absurd memory.
#include <gtest/gtest.h>

#include "storage/log/checksum.h"
#include "storage/log/index_file.h"
#include "storage/log/mark_file.h"
#include "storage/log/record_codec.h"
#include "storage/log/request_snapshot.h"
#include "storage/log/segment_format.h"
#include "tests/support/sim_env.h"

namespace tidemill {
namespace {

constexpr int kRounds = 3000;

void alter(std::span<std::byte> bytes, SimRandom& random) {
  for (std::uint64_t n = 1 + random.below(6); n > 0; --n) {
    const std::uint64_t at = random.below(random.one_in(2) ? std::min<std::uint64_t>(160, bytes.size()) : bytes.size());
    bytes[at] = static_cast<std::byte>(random.one_in(3) ? 0xff : random.below(256));
  }
}

void seal(std::span<std::byte> bytes, std::uint64_t seed) {
  const std::uint64_t sum = checksum(bytes.subspan(8), seed);
  std::memcpy(bytes.data(), &sum, sizeof sum);
}

TEST(DecoderFuzz, SegmentHeader) {
  SimRandom random(1);
  SegmentHeader h;
  h.id = SegmentId(3);
  h.salt = 9;
  h.epochs = {{Epoch(1), Sequence(1)}};
  std::vector<std::byte> good(kSegmentHeaderBytes);
  write_segment_header(h, good);
  for (int i = 0; i < kRounds; ++i) {
    std::vector<std::byte> bytes(good.begin(), good.begin() + kBlockBytes);
    alter(bytes, random);
    std::uint64_t salt = 0;
    std::memcpy(&salt, bytes.data() + 32, sizeof salt);
    seal(bytes, salt);
    const auto back = read_segment_header(bytes);
    EXPECT_TRUE(!back || back->epochs.size() <= kEpochsMax);
  }
}

TEST(DecoderFuzz, DurableMark) {
  SimRandom random(2);
  std::vector<std::byte> good(kBlockBytes);
  write_mark_slot({.generation = 4}, good);
  for (int i = 0; i < kRounds; ++i) {
    auto bytes = good;
    alter(bytes, random);
    seal(bytes, kMarkMagic);
    static_cast<void>(read_mark_slot(bytes));
  }
}

TEST(DecoderFuzz, Index) {
  SimEnv sim(3);
  SimRandom random(3);
  std::vector<IndexEntry> entries(300);
  for (std::size_t i = 0; i < entries.size(); ++i)
    entries[i] = {Sequence(i + 1), 1, 1, ByteOffset(8192 + i * 4096), {}};
  const auto good = make_index(entries, 7, ByteOffset(1 << 22));
  auto file = sim.files.open("/x.idx", OpenMode::create);
  ASSERT_TRUE(file);
  for (int i = 0; i < kRounds; ++i) {
    auto bytes = good;
    const std::span<std::byte> page =
        std::span(bytes).subspan(random.below(bytes.size() / kBlockBytes) * kBlockBytes, kBlockBytes);
    alter(page, random);
    seal(page, 7);
    ASSERT_TRUE((*file)->write_at(ByteOffset(0), bytes));
    auto index = IndexFile::open(sim.files, "/x.idx", 7, ByteOffset(1 << 22));
    if (!index) continue;
    for (const std::uint64_t s : {1, 77, 300, 1000}) {
      static_cast<void>(index->lower_bound([&](const IndexEntry& e) { return e.first.value() < s; }));
    }
    static_cast<void>(index->at(index->entries() - 1));
  }
}

TEST(DecoderFuzz, RequestSnapshot) {
  SimEnv sim(4);
  SimRandom random(4);
  std::vector<StoredRequest> requests(20);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    requests[i].identity.key_hash[3] = static_cast<std::byte>(i);
    requests[i].rejected.resize(i % 4);
  }
  {
    SnapshotWriter writer(sim.files, "/");
    ASSERT_TRUE(writer.begin({Incarnation(5), SegmentId(1), ByteOffset(8192), 20}));
    ASSERT_TRUE(writer.add(requests));
    ASSERT_TRUE(writer.finish());
  }
  const std::string good = *sim.files.content("/requests");
  const std::uint64_t seed = kRequestsMagic ^ 5;
  for (int i = 0; i < kRounds; ++i) {
    std::string text = good;
    const std::span<std::byte> bytes = std::as_writable_bytes(std::span(text));
    alter(bytes, random);
    seal(bytes.first(64), seed);
    std::uint32_t payload = 0;
    std::memcpy(&payload, bytes.data() + 64 + 16, sizeof payload);
    if (64 + 24 + std::uint64_t{payload} <= bytes.size()) seal(bytes.subspan(64, 24 + payload), seed);
    ASSERT_TRUE(sim.files.overwrite("/requests", 0, text));
    RequestWindow window(100);
    const bool whole = read_snapshot(sim.files, "/", Incarnation(5), window, 100).has_value();
    EXPECT_TRUE(whole || window.size() == 0);
  }
}

TEST(DecoderFuzz, Records) {
  SimRandom random(5);
  for (int i = 0; i < 10 * kRounds; ++i) {
    NewRecord n;
    n.key = "key";
    n.data = "{\"a\":1}";
    n.headers = "h";
    std::vector<std::byte> bytes(3 * record_bytes_bound(n));
    std::byte* at = bytes.data();
    for (int k = 0; k < 3; ++k) at = encode_record(at, n, 0, {});
    bytes.resize(static_cast<std::size_t>(at - bytes.data()));
    alter(bytes, random);
    if (random.one_in(3)) bytes.resize(random.below(bytes.size()));
    bytes.shrink_to_fit();
    RecordCursor cursor(bytes, 3, Sequence(10), 5, {});
    Record r;
    std::uint64_t last = 0;
    while (cursor.next(r)) {
      ASSERT_GT(r.sequence.value(), last);
      ASSERT_LT(r.sequence, Sequence(15));
      last = r.sequence.value();
      for (const std::string_view v : {r.key, r.data, r.headers}) {
        if (v.empty()) continue;
        ASSERT_GE(reinterpret_cast<const std::byte*>(v.data()), bytes.data());
        ASSERT_LE(reinterpret_cast<const std::byte*>(v.data() + v.size()), bytes.data() + bytes.size());
      }
    }
  }
}

}  // namespace
}  // namespace tidemill
