#include "storage/log/commit_reader.h"

#include <cstring>

#include "storage/log/bytes.h"
#include "storage/log/checksum.h"
#include "storage/log/compression.h"

namespace tidemill {
namespace {

WallTime wall_time(std::int64_t ms) {
  return WallTime(std::chrono::milliseconds(ms));
}

// Offsets, sizes and counts agree with each other; says nothing about the lanes' bytes.
bool lanes_consistent(CommitHeader& h) {
  std::uint64_t at = h.header_bytes;
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < h.lanes; ++i) {
    Lane& lane = h.lane[i];
    const bool last = i + 1 == h.lanes;
    if (lane.codec != LaneCodec::raw && lane.codec != LaneCodec::lz4) return false;
    if (lane.codec == LaneCodec::raw && lane.raw != lane.stored) return false;
    if (lane.offset != at || lane.stored > h.length - lane.offset) return false;
    if (lane.raw > kCommitBytesLimit || lane.count > h.count) return false;
    lane.end_sixteenth = last ? 16 : h.lane[i + 1].first_sixteenth;
    if (lane.end_sixteenth <= lane.first_sixteenth || lane.end_sixteenth > 16) return false;
    at += lane.stored;
    count += lane.count;
    lane.extent = last ? h.length - lane.offset : lane.stored;
  }
  if (h.lanes != 0 && h.lane[0].first_sixteenth != 0) return false;
  return count == h.count;
}

}  // namespace

std::optional<CommitShape> commit_shape(std::span<const std::byte> first_block) {
  if (first_block.size() < kCommitHeaderBytes) return std::nullopt;
  ByteReader in(first_block.subspan(8));
  if (in.u32() != kCommitMagic || in.u16() != kCommitVersion || in.u16() != 0) return std::nullopt;
  const CommitShape shape{.length = in.u32(), .header_bytes = in.u32()};
  if (shape.length == 0 || shape.length % kBlockBytes != 0 || shape.length > kCommitBytesLimit) return std::nullopt;
  if (shape.header_bytes < kCommitHeaderBytes || shape.header_bytes > shape.length) return std::nullopt;
  return shape;
}

std::optional<CommitHeader> read_commit_header(std::span<const std::byte> bytes, std::uint64_t salt,
                                               Incarnation incarnation) {
  const auto shape = commit_shape(bytes);
  if (!shape || bytes.size() < shape->header_bytes) return std::nullopt;
  ByteReader in(bytes.first(shape->header_bytes));
  CommitHeader h;
  h.checksum = in.u64();
  if (checksum(bytes.subspan(8, shape->header_bytes - 8), salt) != h.checksum) return std::nullopt;
  in.skip(16);
  h.length = shape->length;
  h.header_bytes = shape->header_bytes;
  h.incarnation = Incarnation(in.u64());
  h.first = Sequence(in.u64());
  h.count = in.u32();
  h.epoch = Epoch(in.u32());
  h.wall = wall_time(in.i64());
  h.running_max = wall_time(in.i64());
  h.requests = in.u32();
  h.request_bytes = in.u32();
  h.extension_bytes = in.u32();
  h.hash_mask = in.u16();
  h.lanes = in.u16();
  in.skip(16);
  if (h.incarnation != incarnation || h.lanes > kLanesMax || h.first.value() == 0) return std::nullopt;
  in.skip(h.request_bytes);
  in.skip(h.extension_bytes);
  for (std::size_t i = 0; i < h.lanes; ++i) {
    Lane& lane = h.lane[i];
    lane.first_sixteenth = in.u8();
    lane.codec = static_cast<LaneCodec>(in.u8());
    in.u16();
    lane.count = in.u32();
    lane.offset = in.u32();
    lane.stored = in.u32();
    lane.raw = in.u32();
    in.u32();
    lane.checksum = in.u64();
  }
  if (!in.ok() || (h.lanes != 0 && in.left() != 0) || !lanes_consistent(h)) return std::nullopt;
  return h;
}

bool lane_valid(std::span<const std::byte> extent, const Lane& lane, std::uint64_t salt) {
  return extent.size() == lane.extent && checksum(extent, salt) == lane.checksum;
}

std::optional<CommitHeader> read_commit(std::span<const std::byte> bytes, std::uint64_t salt, Incarnation incarnation) {
  auto h = read_commit_header(bytes, salt, incarnation);
  if (!h || bytes.size() < h->length) return std::nullopt;
  for (std::size_t i = 0; i < h->lanes; ++i) {
    const Lane& lane = h->lane[i];
    if (!lane_valid(bytes.subspan(lane.offset, lane.extent), lane, salt)) return std::nullopt;
  }
  return h;
}

bool read_lane(std::span<const std::byte> extent, const Lane& lane, std::span<std::byte> raw) {
  if (extent.size() < lane.stored || raw.size() != lane.raw) return false;
  const auto stored = extent.first(lane.stored);
  if (lane.codec == LaneCodec::lz4) return decompress(stored, raw);
  std::memcpy(raw.data(), stored.data(), stored.size());
  return true;
}

std::optional<std::vector<StoredRequest>> read_requests(std::span<const std::byte> bytes, const CommitHeader& h) {
  ByteReader in(bytes.subspan(kCommitHeaderBytes, h.request_bytes));
  std::vector<StoredRequest> out;
  if (std::uint64_t{h.requests} * kRequestEntryBytes > h.request_bytes) return std::nullopt;
  out.reserve(h.requests);
  for (std::uint32_t i = 0; i < h.requests; ++i) {
    StoredRequest& r = out.emplace_back();
    const auto key = in.bytes(r.identity.key_hash.size());
    if (!in.ok()) return std::nullopt;
    std::memcpy(r.identity.key_hash.data(), key.data(), key.size());
    r.identity.body_hash = in.u64();
    const std::uint32_t ordinal = in.u32();
    r.accepted = in.u32();
    const std::uint32_t rejected = in.u32();
    in.u32();
    if (std::uint64_t{ordinal} + r.accepted > h.count) return std::nullopt;
    if (std::uint64_t{rejected} * kRejectedBytes > in.left()) return std::nullopt;
    r.first = r.accepted != 0 ? next(h.first, ordinal) : Sequence();
    r.rejected.resize(rejected);
    for (RejectedRecord& x : r.rejected) {
      x.index = in.u32();
      x.code = in.u16();
    }
  }
  if (!in.ok() || in.left() != 0) return std::nullopt;
  return out;
}

std::optional<std::vector<CommitExtension>> read_extensions(std::span<const std::byte> bytes, const CommitHeader& h) {
  ByteReader in(bytes.subspan(kCommitHeaderBytes + h.request_bytes, h.extension_bytes));
  std::vector<CommitExtension> out;
  while (in.left() != 0) {
    CommitExtension& e = out.emplace_back();
    e.type = in.u16();
    in.u16();
    e.bytes = in.bytes(in.u32());
    if (!in.ok()) return std::nullopt;
  }
  return out;
}

}  // namespace tidemill
