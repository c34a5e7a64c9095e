#include "storage/log/request_snapshot.h"

#include <cstring>

#include "storage/base/check.h"
#include "storage/base/errors.h"
#include "storage/log/bytes.h"
#include "storage/log/checksum.h"
#include "storage/log/segment_format.h"

namespace tidemill {
namespace {

constexpr std::size_t kHeaderBytes = 64;
constexpr std::size_t kChunkHeaderBytes = 24;
constexpr std::uint32_t kChunkBytesMax = 64 << 20;

std::string snapshot_path(const std::string& directory) {
  return directory + "/requests";
}

}  // namespace

SnapshotWriter::SnapshotWriter(FileSystem& fs, const std::string& directory) : fs_(fs), directory_(directory) {}

SnapshotWriter::~SnapshotWriter() {
  if (!file_) return;
  file_.reset();
  static_cast<void>(fs_.remove(snapshot_path(directory_) + std::string(kTemporarySuffix)).has_value());
}

Result<void> SnapshotWriter::begin(const SnapshotPoint& point) {
  const std::string path = snapshot_path(directory_) + std::string(kTemporarySuffix);
  ASSIGN_OR_RETURN(file_, fs_.open(path, OpenMode::open_or_create));
  RETURN_IF_ERROR(file_->truncate(0));
  seed_ = kRequestsMagic ^ point.incarnation.value();
  std::byte* const at = buffer_.reserve(kHeaderBytes);
  ByteWriter out(at + 8);
  out.u64(kRequestsMagic);
  out.u16(kRequestsVersion);
  out.u16(0);
  out.u32(0);
  out.u64(point.incarnation.value());
  out.u64(point.segment.value());
  out.u64(point.end.value());
  out.u64(point.requests);
  out.u64(0);
  ByteWriter(at).u64(checksum({at + 8, kHeaderBytes - 8}, seed_));
  RETURN_IF_ERROR(file_->write_at(ByteOffset(0), {at, kHeaderBytes}));
  offset_ = kHeaderBytes;
  return {};
}

Result<void> SnapshotWriter::add(const std::vector<StoredRequest>& requests) {
  std::size_t bytes = 0;
  for (const StoredRequest& r : requests) bytes += kRequestEntryBytes + r.rejected.size() * kRejectedBytes;
  CHECK(bytes <= kChunkBytesMax);
  std::byte* const at = buffer_.reserve(kChunkHeaderBytes + bytes);
  ByteWriter out(at + 8);
  out.u64(chunk_++);
  out.u32(static_cast<std::uint32_t>(bytes));
  out.u32(static_cast<std::uint32_t>(requests.size()));
  for (const StoredRequest& r : requests) {
    out.bytes(r.identity.key_hash.data(), r.identity.key_hash.size());
    out.u64(r.identity.body_hash);
    out.u64(r.first.value());
    out.u32(r.accepted);
    out.u32(static_cast<std::uint32_t>(r.rejected.size()));
    for (const RejectedRecord& x : r.rejected) {
      out.u32(x.index);
      out.u16(x.code);
    }
  }
  ByteWriter(at).u64(checksum({at + 8, kChunkHeaderBytes - 8 + bytes}, seed_));
  RETURN_IF_ERROR(file_->write_at(ByteOffset(offset_), {at, kChunkHeaderBytes + bytes}));
  offset_ += kChunkHeaderBytes + bytes;
  return {};
}

Result<void> SnapshotWriter::finish() {
  RETURN_IF_ERROR(add({}));  // an empty chunk is the end
  RETURN_IF_ERROR(file_->sync_data());
  const std::string path = snapshot_path(directory_);
  RETURN_IF_ERROR(fs_.rename(path + std::string(kTemporarySuffix), path));
  file_.reset();
  return fs_.sync_directory(directory_);
}

namespace {

// One chunk's requests. False: not as written.
bool read_chunk(ByteReader in, std::uint32_t count, RequestWindow& window) {
  std::vector<RejectedRecord> rejected;
  for (std::uint32_t i = 0; i < count; ++i) {
    RequestIdentity identity;
    const auto key = in.bytes(identity.key_hash.size());
    if (!in.ok()) return false;
    std::memcpy(identity.key_hash.data(), key.data(), key.size());
    identity.body_hash = in.u64();
    const auto first = Sequence(in.u64());
    const std::uint32_t accepted = in.u32();
    const std::uint32_t n = in.u32();
    if (std::uint64_t{n} * kRejectedBytes > in.left()) return false;
    rejected.resize(n);
    for (RejectedRecord& x : rejected) {
      x.index = in.u32();
      x.code = in.u16();
    }
    window.add(identity, first, accepted, rejected);
  }
  return in.ok() && in.left() == 0;
}

Result<SnapshotPoint> read_all(File& file, Incarnation incarnation, RequestWindow& window) {
  const std::uint64_t seed = kRequestsMagic ^ incarnation.value();
  AlignedBuffer buffer;
  std::span<std::byte> bytes(buffer.reserve(kHeaderBytes), kHeaderBytes);
  ASSIGN_OR_RETURN(std::size_t n, file.read_at(ByteOffset(0), bytes));
  if (n != bytes.size()) return StorageErrc::damaged;
  ByteReader in(bytes);
  if (in.u64() != checksum(bytes.subspan(8), seed)) return StorageErrc::damaged;
  if (in.u64() != kRequestsMagic || in.u16() != kRequestsVersion) return StorageErrc::damaged;
  in.skip(6);
  SnapshotPoint point;
  point.incarnation = Incarnation(in.u64());
  point.segment = SegmentId(in.u64());
  point.end = ByteOffset(in.u64());
  point.requests = in.u64();
  if (point.incarnation != incarnation) return StorageErrc::damaged;

  std::uint64_t offset = kHeaderBytes;
  for (std::uint64_t chunk = 0;; ++chunk) {
    std::byte front[kChunkHeaderBytes];
    ASSIGN_OR_RETURN(n, file.read_at(ByteOffset(offset), front));
    if (n != kChunkHeaderBytes) return StorageErrc::damaged;
    ByteReader head(front);
    const std::uint64_t sum = head.u64();
    const std::uint64_t number = head.u64();
    const std::uint32_t payload = head.u32();
    const std::uint32_t count = head.u32();
    if (number != chunk || payload > kChunkBytesMax) return StorageErrc::damaged;
    bytes = {buffer.reserve(kChunkHeaderBytes + payload), kChunkHeaderBytes + payload};
    ASSIGN_OR_RETURN(n, file.read_at(ByteOffset(offset), bytes));
    if (n != bytes.size() || checksum(bytes.subspan(8), seed) != sum) return StorageErrc::damaged;
    if (count == 0) return point;
    if (!read_chunk(ByteReader(bytes.subspan(kChunkHeaderBytes)), count, window)) return StorageErrc::damaged;
    offset += bytes.size();
  }
}

}  // namespace

Result<SnapshotPoint> read_snapshot(FileSystem& fs, const std::string& directory, Incarnation incarnation,
                                    RequestWindow& window, std::uint32_t keys_max) {
  ASSIGN_OR_RETURN(const auto file, fs.open(snapshot_path(directory), OpenMode::read));
  auto point = read_all(*file, incarnation, window);
  if (!point) window = RequestWindow(keys_max);
  return point;
}

}  // namespace tidemill
