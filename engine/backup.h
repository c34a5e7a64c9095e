#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "engine/backup_format.h"
#include "engine/data_cut.h"
#include "storage/base/finding.h"
#include "storage/base/result.h"
#include "storage/seam/env.h"
#include "storage/seam/private_files.h"

namespace tidemill {

// A copy of all logs, the system stream's among them, and of the views' base, in a directory of its own:
// docs/formats/backup.md. Views and text files are not in it; they are made again from these.

struct BackupOptions {
  std::string data;
  std::string to;                             // made when missing; empty, or with earlier backups of the same directory
  std::function<Result<DataCut>()> cut;       // asked again where files have gone meanwhile
  PrivateFiles* with_instance_key = nullptr;  // DATA/instance.key too, if there is one; by default it is left out
  bool link = true;  // sealed segments, where both are on one file system; else they are copied
};
struct BackupDone {
  BackupContent content;
  std::uint64_t linked = 0, copied = 0, kept = 0;  // files; kept: were there already
  std::uint64_t copied_bytes = 0;
};
enum class BackupErrc {
  not_a_backup = 1,   // the directory holds other things
  other_instance,     // backups of another data directory
  backup_in_use,      // somebody makes a backup there
  backup_damaged,     // its manifest, or a file that it names
  backup_too_new,     // made by a later version
  no_backup,          // none was finished there
  target_not_empty,   // restore: the data directory is there already
  changing_too_fast,  // files went again and again while they were copied
};
ErrorCode make_error_code(BackupErrc e);

// When it returns, the backup is on disk; a crash before leaves the one before it, whole. Nobody else alters `data` but
// its server. Blocks, long.
Result<BackupDone> make_backup(Env& env, const BackupOptions& options);

struct RestoreOptions {
  std::string from;
  std::string data;                       // not there, or empty
  bool check_only = false;                // nothing is made
  PrivateFiles* private_files = nullptr;  // must be there where the backup may have an instance.key
};
// Checks every file of the backup; each that is not as it was is said. Only then copies them, and gives every log a
// durable mark with an epoch that nothing written before can have had: positions behind the backup's end are refused
// from then on (410). A crash before it returns leaves a directory that no server starts with.
Result<BackupContent> restore_backup(Env& env, const RestoreOptions& options, const FindingSink& damage);

}  // namespace tidemill

template <>
struct boost::system::is_error_code_enum<tidemill::BackupErrc> : std::true_type {};
