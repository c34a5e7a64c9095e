#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "storage/base/ids.h"
#include "storage/base/result.h"
#include "storage/log/aligned_buffer.h"
#include "storage/log/request_window.h"
#include "storage/seam/file_system.h"

namespace tidemill {

// The request window on disk, so that a start reads only the log after it. Derived; docs/formats/requests.md is the
// contract.

inline constexpr std::uint64_t kRequestsMagic = 0x3151455245444954;  // "TIDEREQ1"
inline constexpr std::uint16_t kRequestsVersion = 1;

// What a snapshot covers: all keyed requests of commits that end at or before `end` in `segment`, and of all segments
// before it.
struct SnapshotPoint {
  Incarnation incarnation;
  SegmentId segment;
  ByteOffset end;
  std::uint64_t requests = 0;  // keyed requests in the log up to there
};

// Collects requests and writes them aside, in checksummed chunks; finish() flushes and gives the file its name.
class SnapshotWriter {
 public:
  SnapshotWriter(FileSystem& fs, const std::string& directory);
  ~SnapshotWriter();  // removes what was not finished
  Result<void> begin(const SnapshotPoint& point);
  Result<void> add(const std::vector<StoredRequest>& requests);
  Result<void> finish();

 private:
  FileSystem& fs_;
  std::string directory_;
  std::unique_ptr<File> file_;
  AlignedBuffer buffer_;
  std::uint64_t offset_ = 0;
  std::uint64_t seed_ = 0;
  std::uint64_t chunk_ = 0;
};

// Adds what the snapshot holds to the window. After an error (ENOENT: there is none; damaged, or of another log;
// the disk's) the window is empty.
Result<SnapshotPoint> read_snapshot(FileSystem& fs, const std::string& directory, Incarnation incarnation,
                                    RequestWindow& window, std::uint32_t keys_max);

}  // namespace tidemill
