#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/base/ids.h"
#include "storage/base/result.h"
#include "storage/base/time.h"
#include "storage/log/aligned_buffer.h"
#include "storage/seam/file_system.h"

namespace tidemill {

// The index of a sealed segment: one entry per commit, searched on disk. Derived from the segment, never flushed, made
// again when missing or wrong, never used by recovery. docs/formats/index.md is the contract.

inline constexpr std::uint64_t kIndexMagic = 0x3158444945444954;  // "TIDEIDX1"
inline constexpr std::uint16_t kIndexVersion = 1;
inline constexpr std::size_t kIndexEntryBytes = 32;
inline constexpr std::size_t kIndexPageEntries = 127;  // a page is a block; its first 32 bytes say what it is

struct IndexEntry {
  Sequence first;  // of the commit
  std::uint32_t count = 0;
  std::uint16_t hash_mask = 0;
  ByteOffset offset;
  WallTime running_max{};
  bool operator==(const IndexEntry&) const = default;
};

// The whole file, made in memory. `segment_salt` ties it to this life of the segment.
std::vector<std::byte> make_index(std::span<const IndexEntry> entries, std::uint64_t segment_salt, ByteOffset end);

// Searches one file, a page at a time. Any answer may be wrong where the file is: the caller checks it against the
// segment. One thread at a time.
class IndexFile {
 public:
  // Nullopt: missing or of another segment or end.
  static std::optional<IndexFile> open(FileSystem& fs, const std::string& path, std::uint64_t segment_salt,
                                       ByteOffset end);

  std::uint64_t entries() const { return entries_; }
  // The first entry for which `less(entry)` is false; nullopt: damaged page. entries(): there is none.
  template <class Less>
  std::optional<std::uint64_t> lower_bound(Less less) {
    std::uint64_t low = 0;
    std::uint64_t high = entries_;
    while (low < high) {
      const std::uint64_t middle = low + (high - low) / 2;
      const auto entry = at(middle);
      if (!entry) return std::nullopt;
      if (less(*entry)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
  std::optional<IndexEntry> at(std::uint64_t i);

 private:
  IndexFile(std::unique_ptr<File> file, std::uint64_t salt) : file_(std::move(file)), salt_(salt) {}
  bool load(std::uint64_t page);

  std::unique_ptr<File> file_;
  std::uint64_t salt_ = 0;
  std::uint64_t entries_ = 0;
  std::uint64_t page_ = ~0ull;  // the one in the buffer
  AlignedBuffer buffer_;
};

}  // namespace tidemill
