#pragma once

#include <cstdint>
#include <string>

#include "engine/backup_format.h"
#include "storage/base/result.h"
#include "storage/seam/file_system.h"
#include "storage/seam/private_files.h"

namespace tidemill {

struct CopiedFile {
  std::uint64_t bytes = 0;
  std::uint64_t hash = 0;
};
// The first `bytes_max` bytes (all, where there are fewer), with their hash. `into` empty: they are only read. Else it
// must not be there; on disk when it returns, its name not.
Result<CopiedFile> copy_file(FileSystem& files, const std::string& from, const std::string& into,
                             std::uint64_t bytes_max);
// A small file that only its owner may read, likewise.
Result<CopiedFile> copy_private_file(FileSystem& files, PrivateFiles& private_files, const std::string& from,
                                     const std::string& into);
inline constexpr const char* kInstanceKey = "instance.key";
// A small file under another name first, so that there is the old or the new one, whole. On disk when it returns.
Result<void> replace_file(FileSystem& files, const std::string& directory, const std::string& name,
                          const std::string& text);
Result<BackupContent> read_backup(FileSystem& files, const std::string& directory);  // its manifest

}  // namespace tidemill
