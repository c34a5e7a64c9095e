#pragma once

#include <memory>
#include <string>

#include "engine/stream.h"
#include "storage/base/finding.h"
#include "storage/base/result.h"
#include "storage/log/verify_log.h"
#include "storage/seam/file_system.h"

namespace tidemill {

struct VerifiedArchive {
  bool there = false;  // it has a manifest
  std::uint64_t files = 0;
  std::uint64_t records = 0;  // found in a file with the same bytes
  std::uint64_t unfiled = 0;  // of units that have not filed so far yet
};

// Holds an archive against its manifest and the log: each record up to where the manifest says that its unit is filed
// must stand in exactly one text file, in its place, with the same bytes, and each file must have the size, hash and
// number of lines that the manifest says. Fed with the log's records in order (verify_log). Keeps the manifest's lines
// in memory, and one open file a unit. Alters nothing.
//
// `moved_files_ok`: a text file that is not there is a note, for somebody may have taken it elsewhere.
class ArchiveVerifier : public RecordVisitor {
 public:
  // Reads the manifest: what the log must hold by the time it is walked. nullptr where the disk refuses.
  static Result<std::unique_ptr<ArchiveVerifier>> open(FileSystem& files, std::string directory,
                                                       const StreamDefinition& definition, bool moved_files_ok,
                                                       FindingSink sink);
  // After the last record: what follows it in the files.
  virtual VerifiedArchive finish(const LogCut& log) = 0;
};

}  // namespace tidemill
