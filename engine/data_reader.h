#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/data_cut.h"
#include "engine/data_directory.h"
#include "engine/definition.h"
#include "engine/stream.h"
#include "engine/system_stream.h"
#include "storage/base/result.h"
#include "storage/seam/env.h"

namespace tidemill {

// A data directory, looked at from beside and never altered: one that no server uses (its lock is held as long as this
// lives), or, with a cut that its server gave, one that is in use. Holds what must not be altered against the env's
// file system, which should refuse writes. One thread.
class DataReader {
 public:
  // directory_in_use (offline only); layout_too_new; damaged; not_a_data_directory; errno.
  static Result<std::unique_ptr<DataReader>> open(Env& env, const std::string& data, std::optional<DataCut> cut);

  const DataDirectory& directory() const { return *directory_; }
  const std::optional<DataCut>& cut() const { return cut_; }
  std::optional<LogCut> cut_of(StreamId id) const;  // nullopt: nobody writes to it

  // The system stream's log up to the cut. StorageErrc::damaged: the streams cannot be known.
  Result<void> read_definitions();
  SystemStream& system() { return *system_; }  // after read_definitions()
  using Known = KnownStreams::Known;
  const std::vector<Known>& streams() const { return streams_; }  // by id
  // The stream with its records, for who reads them. Errors as open_log_read_only.
  Result<std::shared_ptr<Stream>> stream(const Known& known);
  // All logs, of a directory that nobody uses. StorageErrc::damaged where one's end is known to be missing.
  Result<DataCut> cut_at_rest();
  // Directories in streams/ that no event of the system stream names.
  Result<std::vector<std::string>> strangers() const;

 private:
  explicit DataReader(Env& env) : env_(env) {}
  Env& env_;
  std::unique_ptr<DataDirectory> directory_;
  std::optional<DataCut> cut_;
  std::unique_ptr<SystemStream> system_;
  std::vector<Known> streams_;
  std::vector<StreamId> unfinished_;
};

}  // namespace tidemill
