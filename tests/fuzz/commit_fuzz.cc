// A commit: header, lanes, records, request table, extensions. Checksums are made right.
#include "storage/log/block.h"
#include "storage/log/commit_reader.h"
#include "storage/log/record_codec.h"
#include "tests/fuzz/fuzz.h"

using namespace tidemill;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::uint64_t kSalt = 77;
  std::vector<std::byte> commit(bytes_of(data, size).begin(), bytes_of(data, size).end());
  commit.resize((size + kBlockBytes - 1) / kBlockBytes * kBlockBytes);
  if (commit.empty()) return 0;
  // What every commit says, so that the rest is met: magic, version, its length, the incarnation.
  const std::uint32_t magic = kCommitMagic;
  const std::uint16_t version[2] = {kCommitVersion, 0};
  const auto length = static_cast<std::uint32_t>(commit.size());
  const std::uint64_t incarnation = 5;
  std::memcpy(commit.data() + 8, &magic, sizeof magic);
  std::memcpy(commit.data() + 12, version, sizeof version);
  std::memcpy(commit.data() + 16, &length, sizeof length);
  std::memcpy(commit.data() + 24, &incarnation, sizeof incarnation);
  seal_commit(commit, kSalt);
  const auto header = read_commit(commit, kSalt, Incarnation(incarnation));
  if (!header) return 0;
  (void)read_requests(commit, *header);
  (void)read_extensions(commit, *header);
  std::uint64_t raw_bytes = 0;
  for (std::size_t i = 0; i < header->lanes; ++i) raw_bytes += header->lane[i].raw;
  if (raw_bytes > 8 << 20) return 0;  // allowed, and slow
  Block block(*header, HashRange{});
  for (std::size_t i = 0; i < block.lanes(); ++i) {
    const Lane& lane = header->lane[block.lane_number(i)];
    if (!read_lane(std::span(commit).subspan(lane.offset, lane.extent), lane, block.lane(i))) return 0;
  }
  RecordBatch batch;
  batch.next = header->first;
  std::uint64_t bytes = 0;
  (void)block.take(header->last(), {}, batch, bytes);
  Sequence before;
  for (const Record& r : batch.records) {
    CHECK(r.sequence > before && r.sequence >= header->first && r.sequence <= header->last());
    before = r.sequence;
    CHECK(r.data.size() + r.key.size() + r.headers.size() <= raw_bytes);
  }
  return 0;
}
