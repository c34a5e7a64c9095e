#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/log/log.h"
#include "storage/log/mark_file.h"
#include "storage/log/request_recovery.h"
#include "storage/log/segments.h"
#include "storage/log/start_file.h"

namespace tidemill {

// What a log is when it has been opened: everything in it up to `next` has been flushed by this process, and writing
// goes on in a fresh segment under a new epoch.
struct RecoveredLog {
  explicit RecoveredLog(StartFile file) : start_file(std::move(file)) {}
  StartFile start_file;
  Segments::Start segments;
  Sequence log_start{1};
  Sequence next{1};  // the next record's number
  WallTime running_max{};
  std::optional<SourcePosition> source;
  std::uint64_t requests = 0;       // keyed requests in the whole log
  std::uint64_t last_checksum = 0;  // of the last commit's header
  RecoveredRequests answers{RequestWindow(0)};
  std::array<std::optional<Sequence>, kNotesMax> notes;
  SegmentId last_id;       // the highest ever used
  bool torn_tail = false;  // a commit that was being written when the lights went out was dropped
};

// Reads the last segment, decides about its tail, copies the last commit to a fresh segment and flushes it there. Reads
// nothing else but the file names, the durable mark, the snapshot of the request window and the commits after it: the
// time does not depend on the log's size. docs/formats/segment.md, "Recovery", is the contract.
Result<RecoveredLog> recover_log(Env& env, const std::string& directory, const LogOptions& options, MarkFile& mark);

}  // namespace tidemill
