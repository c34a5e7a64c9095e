#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "consumers/archive/manifest_format.h"
#include "engine/consumer.h"
#include "engine/stream.h"
#include "storage/base/result.h"
#include "storage/seam/env.h"
#include "storage/seam/file_system.h"

namespace tidemill::archive {

// What to do where text files and manifest do not belong together, as long as the log holds all records.
inline constexpr const char* kAnew =
    "restore the archive's directory as a whole from a backup, or move it away: it is then made again from the log";

// A unit that the archive has, or had: of a shard that was closed there is nothing beyond its last record.
struct UnitSpan {
  std::string name;
  Sequence last = kSequenceMax;
};

// DIRECTORY/manifest, opened: the archive's checkpoint. Owned by the archive, shared by its units; any thread. Holds
// in memory one line a unit, however long the file is.
class Manifest {
 public:
  struct Opened {
    std::unique_ptr<Manifest> manifest;    // or
    std::optional<StreamId> other_stream;  // whose it is: one of the same name, removed since
  };
  // Reads it through, or makes it. Drops a torn tail. What it has found is on disk when it returns: in a new file, for
  // the one it read may be in the cache only. A damaged line is named in the log; where that line may have been a
  // unit's last one, or where there are text files without a manifest: StorageErrc::damaged. One of a later version:
  // layout_too_new. `units`: those that the archive will have, or had.
  static Result<Opened> open(Env& env, const std::string& directory, const StreamDefinition& definition,
                             const std::vector<UnitSpan>& units);

  // The unit's last line that says where it is, and its last file. Only what open() found: later appends are not kept.
  struct Unit {
    Sequence through;
    std::optional<FileLine> last_file;  // when its last line is one: the file may not be in place yet
    Filed filed;                        // all its lines that name a file
  };
  Unit found(const std::string& unit) const;
  std::size_t units() const { return found_.size(); }
  bool has_other_kind(char kind) const;  // units whose names begin with another letter ('s', 'l')

  // On disk when it returns without error. One after the other. An error leaves the manifest as it was: the same line
  // may be appended again.
  Result<void> append(const ManifestLine& line);

 private:
  Manifest(Env& env, std::string directory) : env_(env), directory_(std::move(directory)) {}
  Result<void> create(const StreamDefinition& definition);
  Result<void> scan(const StreamDefinition& definition, const std::vector<UnitSpan>& units);
  std::optional<NumberedLine> valid_line(std::string_view text) const;
  Result<void> take(const NumberedLine& line, const StreamDefinition& definition);
  void report_damage(const StreamDefinition& definition, std::uint64_t offset) const;
  Result<void> copy_to_new_file();
  std::string path() const { return directory_ + "/manifest"; }

  Env& env_;
  const std::string directory_;
  std::map<std::string, Unit, std::less<>> found_;
  std::optional<StreamId> other_stream_;

  std::mutex mutex_;
  std::unique_ptr<File> file_;
  std::uint64_t end_ = 0;  // of what is on disk
  std::uint64_t next_number_ = 0;
  std::uint64_t salt_ = 0;
  bool must_copy_ = false;  // a flush failed: nobody knows what lies beyond end_, and this file is written no more
};

}  // namespace tidemill::archive
