#pragma once

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

// Where the log begins since retention has removed segments, in a small side file that is flushed before any of them is
// touched. docs/formats/log-start.md is the contract.

inline constexpr std::string_view kStartFileName = "start";
inline constexpr std::uint64_t kStartMagic = 0x5452545345444954;  // "TIDESTRT"
inline constexpr std::uint16_t kStartVersion = 1;

struct LogStart {
  std::uint64_t generation = 0;  // the newer of two slots has the higher one
  Incarnation incarnation;
  Sequence start;     // first record held
  SegmentId segment;  // the one that begins with it
  bool operator==(const LogStart&) const = default;
};

void write_start_slot(const LogStart& start, std::span<std::byte> block);
std::optional<LogStart> read_start_slot(std::span<const std::byte> block);

// One thread at a time.
class StartFile {
 public:
  StartFile(FileSystem& fs, const std::string& directory);
  struct Found {
    std::optional<LogStart> start;  // the newest valid slot
    bool exists = false;
    int damaged = 0;  // slots that are neither valid nor all zeros
  };
  Result<Found> read();
  // Into both slots, one after the other, each flushed; `start.generation` is given here. After an error nobody knows
  // what a slot holds on disk: no more writes by this object.
  Result<void> write(LogStart start);

 private:
  Result<void> write_slot(LogStart start);

  FileSystem& fs_;
  std::string directory_;
  std::string path_;
  std::unique_ptr<File> file_;
  std::uint64_t generation_ = 0;
  ErrorCode failed_;
  AlignedBuffer buffer_;
};

}  // namespace tidemill
