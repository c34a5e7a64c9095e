#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/base/finding.h"
#include "storage/base/result.h"
#include "storage/log/index_file.h"
#include "storage/log/log_cut.h"
#include "storage/log/mark_file.h"
#include "storage/log/record.h"
#include "storage/seam/file_system.h"

namespace tidemill {

// Sees every record of a log, in order. Views of the records end with the call.
class RecordVisitor {
 public:
  virtual ~RecordVisitor() = default;
  // Before records(): where the commit stands that holds them.
  virtual void commit(const std::string& file, ByteOffset offset) {
    (void)file;
    (void)offset;
  }
  virtual void records(std::span<const Record> records) = 0;
  virtual void lost(Sequence first, Sequence last) = 0;  // these cannot be read
};

// The files of a log that count, found without opening more of them than must be.
struct LogLayout {
  Incarnation incarnation;
  std::vector<SegmentName> names;       // ascending
  std::vector<SegmentName> superseded;  // replaced by a later one, and still there: the next start removes them
  std::optional<DurableMark> mark;      // of this log
  Sequence start{1};          // as the start file says, if there is one; names before it are among `superseded`
  bool foreign_mark = false;  // there is one of another log
};

struct VerifyLogOptions {
  std::optional<Incarnation> incarnation;  // what the log should be; else the mark and the headers say
  std::optional<LogCut> cut;               // of a running server's log; else nobody writes to it
  RecordVisitor* visitor = nullptr;
};

Result<LogLayout> read_layout(FileSystem& files, const std::string& directory, const VerifyLogOptions& options);

struct VerifiedLog {
  LogCut cut;                       // what was walked
  std::vector<IndexEntry> entries;  // of the last segment
  std::uint64_t segments = 0;
  std::uint64_t commits = 0;
  std::uint64_t records = 0;
  std::uint64_t requests = 0;  // keyed ones
  std::uint64_t bytes = 0;     // that count
  std::uint64_t damages = 0;
};

// Reads everything that is kept of a log: both headers of each segment, every commit with its lanes and records, how
// segments continue each other, indexes, the durable mark, the snapshot of the request window. Says what is wrong and
// goes on behind it. Alters nothing. Blocks, long. An error: it could not be looked at (no permission, a later
// version).
Result<VerifiedLog> verify_log(FileSystem& files, const std::string& directory, const VerifyLogOptions& options,
                               const FindingSink& sink);

}  // namespace tidemill
