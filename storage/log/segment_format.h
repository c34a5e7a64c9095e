#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/ids.h"
#include "storage/base/time.h"
#include "storage/log/aligned_buffer.h"
#include "storage/log/source_position.h"

namespace tidemill {

// The header and the name of a segment file. docs/formats/segment.md is the contract.

inline constexpr std::uint64_t kSegmentMagic = 0x3147455345444954;  // "TIDESEG1"
inline constexpr std::uint16_t kSegmentVersion = 1;
inline constexpr std::size_t kSegmentHeaderBytes = 2 * kBlockBytes;  // two copies, a block each
inline constexpr std::size_t kEpochsMax = 240;

// Where an epoch began: its first record would have been `start`.
struct EpochStart {
  Epoch epoch;
  Sequence start;
  bool operator==(const EpochStart&) const = default;
};

struct SegmentHeader {
  SegmentId id;
  std::uint64_t salt = 0;
  Incarnation incarnation;
  Epoch epoch;
  std::uint64_t bytes = 0;  // of the file, zero-filled to that size
  Sequence log_start;       // first record of the log that is held
  Sequence first;           // number of the first record in it
  WallTime created{};
  WallTime running_max{};             // of all commits before its first
  std::uint64_t requests_before = 0;  // keyed requests in all commits before its first

  // Of the segment before it, what counts: up to `end`. 0 where there is none.
  struct Predecessor {
    SegmentId id;
    ByteOffset end;
    Sequence last;
    std::uint64_t checksum = 0;  // of its last commit's header
    bool operator==(const Predecessor&) const = default;
  } predecessor;

  // The commit that was flushed together with the header, if any: it was durable before the file got its name.
  std::uint32_t initial_bytes = 0;
  Sequence initial_last;

  std::optional<SourcePosition> source;  // as of all commits before its first

  std::vector<EpochStart> epochs;  // the latest kEpochsMax, ascending; the last is this segment's own
};

// With one more epoch; earlier ones that began at the same record, and then the oldest, make room.
std::vector<EpochStart> add_epoch(std::vector<EpochStart> epochs, EpochStart latest);

// Both copies. `into` holds kSegmentHeaderBytes.
void write_segment_header(const SegmentHeader& header, std::span<std::byte> into);
// From one copy, a block.
std::optional<SegmentHeader> read_segment_header(std::span<const std::byte> block);

// What one copy says its version is; 0: it is no segment header.
std::uint16_t segment_version(std::span<const std::byte> block);

// <id>-<first sequence>.seg, 20 digits each, so that names sort and the table of segments needs no file to be opened.
struct SegmentName {
  SegmentId id;
  Sequence first;
  bool operator==(const SegmentName&) const = default;
};
std::string segment_file_name(const SegmentName& name);
std::optional<SegmentName> parse_segment_file_name(std::string_view name);
std::string index_file_name(SegmentId id);  // <id>.idx
std::optional<SegmentId> parse_index_file_name(std::string_view name);

inline constexpr std::string_view kFillSuffix = ".fill";  // a segment to be; worth nothing after a crash
inline constexpr std::string_view kTemporarySuffix = ".tmp";

}  // namespace tidemill
