#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "storage/log/aligned_buffer.h"
#include "storage/log/commit_format.h"
#include "storage/log/segment_file.h"

namespace tidemill {

// Walks the commits of one segment between two offsets and finds its feet again after damage: a bad commit is followed
// by a search for the next valid one, block by block. Used by readers, recovery and whoever rebuilds an index. One
// thread; many scanners may share a segment.
class SegmentScanner {
 public:
  enum class Depth {
    header,  // a commit is valid if its header is; the lanes are the caller's to check
    whole,   // its lanes too
  };
  SegmentScanner(const SegmentFile& segment, ByteOffset begin, ByteOffset end, Depth depth, std::size_t read_bytes);

  struct Found {
    CommitHeader header;
    ByteOffset offset;
    std::optional<ByteOffset> bad;  // from here to `offset` there is no valid commit, though there should be
    ByteOffset end() const { return ByteOffset(offset.value() + header.length); }
  };
  // nullopt: nothing valid from position() on. An error: nothing valid, and not all of it could be read.
  Result<std::optional<Found>> next();
  ByteOffset position() const { return ByteOffset(position_); }

  // Bytes of the segment; valid until the next call of anything.
  Result<std::span<const std::byte>> bytes(std::uint64_t offset, std::uint64_t length);

 private:
  std::optional<CommitHeader> commit_at(std::uint64_t offset);

  const SegmentFile& segment_;
  std::uint64_t position_;
  const std::uint64_t end_;
  const Depth depth_;
  const std::size_t read_bytes_;
  AlignedBuffer buffer_;
  std::uint64_t buffered_from_ = 0;
  std::uint64_t buffered_ = 0;
  ErrorCode read_error_;  // the last one since a valid commit
};

}  // namespace tidemill
