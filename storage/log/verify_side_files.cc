#include "storage/log/verify_side_files.h"

#include <algorithm>

#include "storage/log/bytes.h"
#include "storage/log/checksum.h"
#include "storage/log/mark_file.h"
#include "storage/log/start_file.h"

namespace tidemill {
namespace {

constexpr std::uint32_t kKeysMax = 1u << 26;  // as many as a snapshot holds

bool all_zero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

void verify_mark_slots(FileSystem& files, const std::string& directory, const FindingSink& sink) {
  const std::string path = directory + "/mark";
  auto file = files.open(path, OpenMode::read);
  if (!file) return;
  AlignedBuffer buffer;
  const std::span<std::byte> block(buffer.reserve(kBlockBytes), kBlockBytes);
  for (std::uint64_t slot = 0; slot < 2; ++slot) {
    const auto n = (*file)->read_at(ByteOffset(slot * kBlockBytes), block);
    if (n && all_zero(block.first(*n))) continue;  // not written yet
    if (n && *n == kBlockBytes && read_mark_slot(block)) continue;
    sink({Finding::Grade::note,
          "mark",
          path,
          ByteOffset(slot * kBlockBytes),
          {},
          {},
          "This slot of the durable mark cannot be read: torn by a crash, or damaged. The mark only helps to tell "
          "damage from a torn tail."});
  }
}

void verify_start_slots(FileSystem& files, const std::string& directory, const FindingSink& sink) {
  const std::string path = directory + "/" + std::string(kStartFileName);
  auto file = files.open(path, OpenMode::read);
  if (!file) return;
  AlignedBuffer buffer;
  const std::span<std::byte> block(buffer.reserve(kBlockBytes), kBlockBytes);
  for (std::uint64_t slot = 0; slot < 2; ++slot) {
    const auto n = (*file)->read_at(ByteOffset(slot * kBlockBytes), block);
    if (n && all_zero(block.first(*n))) continue;  // not written yet
    if (n && *n == kBlockBytes && read_start_slot(block)) continue;
    sink({Finding::Grade::note,
          "start",
          path,
          ByteOffset(slot * kBlockBytes),
          {},
          {},
          "This slot of the log's start cannot be read: torn by a crash, or damaged. The other slot says the same."});
  }
}

void verify_index(FileSystem& files, const std::string& directory, const SegmentFile& segment,
                  const std::vector<IndexEntry>& entries, ByteOffset end, const FindingSink& sink) {
  const std::string path = directory + "/" + index_file_name(segment.name.id);
  auto file = files.open(path, OpenMode::read);
  if (!file) return;
  const auto wanted = make_index(entries, segment.header.salt, end);
  AlignedBuffer buffer;
  const std::span<std::byte> page(buffer.reserve(kBlockBytes), kBlockBytes);
  for (std::uint64_t at = 0; at < wanted.size(); at += kBlockBytes) {
    const auto n = (*file)->read_at(ByteOffset(at), page);
    if (n && *n == kBlockBytes && std::equal(page.begin(), page.end(), wanted.begin() + static_cast<long>(at)))
      continue;
    ByteReader in(page);
    const bool sealed = n && *n == kBlockBytes && in.u64() == checksum(page.subspan(8), segment.header.salt);
    if (sealed) {
      sink({Finding::Grade::damage,
            "index",
            path,
            ByteOffset(at),
            {},
            {},
            "The index reads well and does not say what the segment holds. Remove the file: it is made again."});
    } else {
      sink({Finding::Grade::note,
            "index",
            path,
            ByteOffset(at),
            {},
            {},
            "This page of the index cannot be read: it is made again when it is needed."});
    }
    return;
  }
}

VerifyRequests::VerifyRequests(FileSystem& files, const std::string& directory, Incarnation incarnation,
                               const FindingSink& sink)
    : path_(directory + "/requests"), sink_(sink), window_(kKeysMax) {
  if (!exists(files, path_)) return;
  if (const auto point = read_snapshot(files, directory, incarnation, window_, kKeysMax)) point_ = *point;
  if (!point_) damage("The snapshot of the request window cannot be read. Remove the file: a start then reads more.");
}

void VerifyRequests::damage(const std::string& text) {
  sink_({Finding::Grade::damage, "requests", path_, ByteOffset(0), {}, {}, text});
}

void VerifyRequests::request(const StoredRequest& r) {
  if (!point_) return;
  const auto there = window_.find(r.identity);
  if (there && there->body_hash == r.identity.body_hash && there->first == r.first && there->accepted == r.accepted &&
      std::equal(there->rejected.begin(), there->rejected.end(), r.rejected.begin(), r.rejected.end(),
                 [](const auto& a, const auto& b) { return a.index == b.index && a.code == b.code; })) {
    ++met_;
  }
}

void VerifyRequests::at(SegmentId segment, ByteOffset end, std::uint64_t requests) {
  if (point_ && point_->segment == segment && end <= point_->end) counted_ = requests;
}

void VerifyRequests::finish(bool whole) {
  if (!point_ || !whole) return;
  if (counted_ && *counted_ != point_->requests) {
    damage("The snapshot of the request window says that the log holds " + std::to_string(point_->requests) +
           " keyed requests up to its place; it holds " + std::to_string(*counted_) + ". Remove the file.");
  } else if (met_ < window_.size()) {
    damage(std::to_string(window_.size() - met_) +
           " answers in the snapshot of the request window are in no commit. Remove the file: it is made again.");
  }
}

}  // namespace tidemill
