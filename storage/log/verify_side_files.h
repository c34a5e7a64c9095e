#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "storage/base/finding.h"
#include "storage/log/commit_reader.h"
#include "storage/log/index_file.h"
#include "storage/log/request_snapshot.h"
#include "storage/log/segment_file.h"
#include "storage/seam/file_system.h"

namespace tidemill {

// The files beside the segments, held against what the segments say. Used by verify_log() only.

// The slots of the durable mark: what a crash may leave of one is a note.
void verify_mark_slots(FileSystem& files, const std::string& directory, const FindingSink& sink);
// Both slots of the log's start.
void verify_start_slots(FileSystem& files, const std::string& directory, const FindingSink& sink);

// An index that is missing or cannot be read is made again; one that reads well and says something else would send
// readers to the wrong place.
void verify_index(FileSystem& files, const std::string& directory, const SegmentFile& segment,
                  const std::vector<IndexEntry>& entries, ByteOffset end, const FindingSink& sink);

// The snapshot of the request window: fed with what the commits answered.
class VerifyRequests {
 public:
  VerifyRequests(FileSystem& files, const std::string& directory, Incarnation incarnation, const FindingSink& sink);

  void request(const StoredRequest& request);
  // The log held `requests` keyed requests up to `end` in `segment`.
  void at(SegmentId segment, ByteOffset end, std::uint64_t requests);
  // `whole`: nothing of the log is missing, so each of its answers must have been met.
  void finish(bool whole);

 private:
  void damage(const std::string& text);

  std::string path_;
  const FindingSink& sink_;
  RequestWindow window_;
  std::optional<SnapshotPoint> point_;
  std::optional<std::uint64_t> counted_;  // at the snapshot's point
  std::uint64_t met_ = 0;
};

}  // namespace tidemill
