#include "storage/log/segment_scanner.h"

#include <algorithm>

#include "storage/base/errors.h"
#include "storage/log/commit_reader.h"

namespace tidemill {

SegmentScanner::SegmentScanner(const SegmentFile& segment, ByteOffset begin, ByteOffset end, Depth depth,
                               std::size_t read_bytes)
    : segment_(segment), position_(begin.value()), end_(end.value()), depth_(depth), read_bytes_(read_bytes) {}

Result<std::span<const std::byte>> SegmentScanner::bytes(std::uint64_t offset, std::uint64_t length) {
  if (offset > end_ || length > end_ - offset) return make_error_code(StorageErrc::damaged);
  if (offset < buffered_from_ || offset + length > buffered_from_ + buffered_) {
    const std::uint64_t much = std::min<std::uint64_t>(end_ - offset, std::max<std::uint64_t>(length, read_bytes_));
    buffered_ = 0;
    std::byte* const into = buffer_.reserve(much);
    auto n = segment_.file->read_at(ByteOffset(offset), {into, much});
    // A bad sector further on must not take this commit with it; and one more try costs nothing.
    if (!n) n = segment_.file->read_at(ByteOffset(offset), {into, length});
    if (!n) return n.error();
    buffered_from_ = offset;
    buffered_ = *n;
    if (buffered_ < length) return make_error_code(StorageErrc::damaged);  // the file is shorter than it was
  }
  return std::span<const std::byte>(buffer_.data() + (offset - buffered_from_), length);
}

std::optional<CommitHeader> SegmentScanner::commit_at(std::uint64_t offset) {
  const auto note_error = [&](const ErrorCode& e) {
    if (e != StorageErrc::damaged) read_error_ = e;
  };
  auto front = bytes(offset, std::min<std::uint64_t>(kBlockBytes, end_ - offset));
  if (!front) {
    note_error(front.error());
    return std::nullopt;
  }
  const auto shape = commit_shape(*front);
  if (!shape || shape->length > end_ - offset) return std::nullopt;
  const std::uint64_t need = depth_ == Depth::whole ? shape->length : shape->header_bytes;
  front = bytes(offset, need);
  if (!front) {
    note_error(front.error());
    return std::nullopt;
  }
  return depth_ == Depth::whole ? read_commit(*front, segment_.header.salt, segment_.header.incarnation)
                                : read_commit_header(*front, segment_.header.salt, segment_.header.incarnation);
}

Result<std::optional<SegmentScanner::Found>> SegmentScanner::next() {
  read_error_ = {};
  for (std::uint64_t at = position_; at < end_; at += kBlockBytes) {
    const auto header = commit_at(at);
    if (!header) continue;
    Found found{*header, ByteOffset(at), {}};
    if (at != position_) {
      // Unreadable is only damage if it stays so while its neighbours can be read.
      const ErrorCode error = read_error_;
      if (error && bytes(position_, kBlockBytes)) return error;
      found.bad = ByteOffset(position_);
    }
    position_ = at + header->length;
    return std::optional<Found>(found);
  }
  if (read_error_) return read_error_;
  return std::optional<Found>();
}

}  // namespace tidemill
