#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "storage/log/commit_format.h"
#include "storage/log/log.h"

namespace tidemill {

// The records of one commit in memory, decompressed but not taken apart: a record is a few views into the lane's bytes
// and costs less to parse again than to keep. May hold only those lanes that a reader needed. Immutable once made.
class Block : public std::enable_shared_from_this<Block> {
 public:
  // Room for the lanes of `header` that meet `range`; the maker fills lane(i).
  Block(const CommitHeader& header, const HashRange& range);
  // The writer's: all lanes, copied.
  static std::shared_ptr<const Block> copy_of(const CommitHeader& header,
                                              std::span<const std::span<const std::byte>> raw);

  Sequence first() const { return first_; }
  Sequence last() const { return Sequence(first_.value() + count_ - 1); }
  std::size_t bytes() const { return sizeof(Block) + bytes_; }
  std::size_t lanes() const { return lanes_; }
  std::size_t lanes_in(const HashRange& range) const;                       // those that may hold records of it
  std::size_t lane_number(std::size_t i) const { return lane_[i].number; }  // in the header
  std::span<std::byte> lane(std::size_t i) { return {data_.get() + lane_[i].offset, lane_[i].bytes}; }

  enum class Taken {
    all,   // everything up to `through` or the end of the block
    full,  // a limit was reached; batch.next says where to go on
    bad,   // the lanes' bytes make no sense (their checksums were right)
  };
  // Appends the records from batch.next to `through` that lie in the range, in order, and moves batch.next on. `bytes`
  // counts what was appended over all calls for the batch.
  Taken take(Sequence through, const ReadOptions& options, RecordBatch& batch, std::uint64_t& bytes) const;

 private:
  struct Part {
    std::uint32_t number = 0;
    std::uint32_t count = 0;
    std::uint32_t bytes = 0;
    std::uint64_t offset = 0;
    std::uint16_t sixteenths = 0;  // that it has records in
  };

  Sequence first_;
  std::uint32_t count_;
  WallTime wall_;
  std::uint32_t lanes_ = 0;
  std::array<Part, kLanesMax> lane_{};
  std::size_t bytes_ = 0;
  std::unique_ptr<std::byte[]> data_;
};

}  // namespace tidemill
