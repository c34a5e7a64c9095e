#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "storage/base/ids.h"
#include "storage/base/time.h"
#include "storage/log/aligned_buffer.h"

namespace tidemill {

// Constants of a commit and its header, decoded. docs/formats/segment.md is the contract.

inline constexpr std::uint32_t kCommitMagic = 0x314d4354;  // "TCM1"
inline constexpr std::uint16_t kCommitVersion = 1;
inline constexpr std::size_t kCommitHeaderBytes = 96;  // fixed part
inline constexpr std::size_t kLaneEntryBytes = 32;
inline constexpr std::size_t kRequestEntryBytes = 40;
inline constexpr std::size_t kRejectedBytes = 6;
inline constexpr std::size_t kExtensionHeaderBytes = 8;
inline constexpr std::size_t kLanesMax = 16;
inline constexpr std::uint64_t kLaneBytesMin = 64 << 10;     // raw; fewer lanes rather than smaller ones
inline constexpr std::uint64_t kCommitBytesLimit = 1 << 28;  // larger is not a commit

enum class LaneCodec : std::uint8_t { raw = 0, lz4 = 1 };

// Bit n: sixteenth n of the hash space; those from `first` up to but not with `end`.
constexpr std::uint16_t sixteenths_of(std::uint32_t first, std::uint32_t end) {
  return static_cast<std::uint16_t>((1u << end) - (1u << first));
}
constexpr std::uint16_t sixteenths_of(const HashRange& range) {
  return sixteenths_of(static_cast<std::uint32_t>(range.first.high >> 60),
                       static_cast<std::uint32_t>(range.last.high >> 60) + 1);
}

// One lane of a commit: the records whose hash keys begin with the sixteenths [first_sixteenth, that of the next lane).
struct Lane {
  std::uint8_t first_sixteenth = 0;
  std::uint8_t end_sixteenth = 16;  // not stored: follows from the next lane
  LaneCodec codec = LaneCodec::raw;
  std::uint32_t count = 0;
  std::uint32_t offset = 0;  // from the start of the commit
  std::uint32_t stored = 0;  // bytes, before padding
  std::uint32_t raw = 0;     // bytes once decompressed
  std::uint32_t extent = 0;  // not stored: bytes under the checksum; the last lane's include the padding
  std::uint64_t checksum = 0;

  // Bit n: sixteenth n is in the lane.
  std::uint16_t sixteenths() const { return sixteenths_of(first_sixteenth, end_sixteenth); }
};

struct CommitHeader {
  std::uint64_t checksum = 0;
  std::uint32_t length = 0;        // all of it, padding included
  std::uint32_t header_bytes = 0;  // up to the first lane; all of it when there is none
  Incarnation incarnation;
  Epoch epoch;
  Sequence first;  // of its records; the next one's number when it holds none
  std::uint32_t count = 0;
  WallTime wall{};
  WallTime running_max{};
  std::uint32_t requests = 0;
  std::uint32_t request_bytes = 0;
  std::uint32_t extension_bytes = 0;
  std::uint16_t hash_mask = 0;  // bit n: there are records in sixteenth n of the hash space
  std::uint16_t lanes = 0;
  std::array<Lane, kLanesMax> lane{};

  Sequence last() const { return Sequence(first.value() + count - 1); }  // `first - 1` without records
  Sequence end() const { return Sequence(first.value() + count); }
};

// A derived stream's source position (source_position.h); room for a hash chain. Unknown types are skipped.
struct CommitExtension {
  std::uint16_t type = 0;
  std::span<const std::byte> bytes;
};

}  // namespace tidemill
