#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "storage/log/bytes.h"
#include "storage/log/record.h"

namespace tidemill {

// Records inside a lane; docs/formats/segment.md, "Record".

inline constexpr std::size_t kRecordKeyBytesMax = 65'535;

// No record takes more than this.
inline std::size_t record_bytes_bound(const NewRecord& r) {
  return 64 + r.key.size() + r.headers.size() + r.data.size();
}

// `gap`: how many records of the commit lie between the lane's previous record (or the commit's start) and this one.
std::byte* encode_record(std::byte* at, const NewRecord& record, std::uint32_t gap, WallTime commit_time);

// Walks the records of one raw (decompressed) lane. The views point into `raw`.
class RecordCursor {
 public:
  RecordCursor(std::span<const std::byte> raw, std::uint32_t count, Sequence commit_first, std::uint32_t commit_count,
               WallTime commit_time);
  // False at the end, and where the bytes make no sense: see bad().
  bool next(Record& out);
  bool bad() const { return bad_; }

 private:
  ByteReader in_;
  std::uint32_t left_;
  Sequence commit_first_;
  std::uint32_t commit_count_;
  WallTime commit_time_;
  std::uint64_t ordinal_ = 0;  // of the next record if there is no gap
  bool bad_ = false;
};

}  // namespace tidemill
