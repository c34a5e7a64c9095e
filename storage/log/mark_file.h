#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "storage/base/ids.h"
#include "storage/base/result.h"
#include "storage/log/aligned_buffer.h"
#include "storage/seam/file_system.h"

namespace tidemill {

// The durable mark: how far the log was known to be on disk, in a small side file. docs/formats/durable-mark.md is the
// contract. It serves to tell damage from a torn tail, and carries the notes.

inline constexpr std::uint64_t kMarkMagic = 0x4b52414d45444954;  // "TIDEMARK"
inline constexpr std::uint16_t kMarkVersion = 1;
inline constexpr std::size_t kNotesMax = 8;

struct DurableMark {
  std::uint64_t generation = 0;  // the newer of two slots has the higher one
  Incarnation incarnation;
  Epoch epoch;
  SegmentId segment;
  ByteOffset end;              // of the last durable commit
  Sequence last;               // record of it
  std::uint64_t checksum = 0;  // of that commit's header; 0 when the segment holds none
  std::array<std::optional<Sequence>, kNotesMax> notes;
  bool operator==(const DurableMark&) const = default;
};

void write_mark_slot(const DurableMark& mark, std::span<std::byte> block);
std::optional<DurableMark> read_mark_slot(std::span<const std::byte> block);

// One thread at a time.
class MarkFile {
 public:
  explicit MarkFile(FileSystem& fs, const std::string& directory);
  // The newest valid slot; nullopt when there is none (or no file).
  Result<std::optional<DurableMark>> read();
  // Into the other slot; `mark.generation` is given here. Flushed only if asked for.
  Result<void> write(DurableMark mark, bool flush);

 private:
  FileSystem& fs_;
  std::string directory_;
  std::string path_;
  bool known_ = false;  // its name is on disk
  std::uint64_t generation_ = 0;
  AlignedBuffer buffer_;
};

}  // namespace tidemill
