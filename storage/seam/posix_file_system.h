#pragma once

#include "storage/seam/file_system.h"

namespace tidemill {

// The kernel's file system. Has no state: any number of these, any thread. A File may be read and written by several
// threads at once (pread, pwrite). Every descriptor is close-on-exec. The lock is flock(2): unlike fcntl's it also
// excludes within one process and is not lost when somebody closes another descriptor of the file.
class PosixFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> link(const std::string& from, const std::string& to) override;
  Result<void> remove(const std::string& path) override;
  Result<void> create_directory(const std::string& path) override;
  Result<void> sync_directory(const std::string& path) override;
  Result<std::vector<DirectoryEntry>> list(const std::string& path) override;
  Result<FileInfo> info(const std::string& path) override;
  Result<DiskSpace> space(const std::string& path) override;
  Result<std::unique_ptr<DirectoryLock>> lock(const std::string& path) override;
};

}  // namespace tidemill
