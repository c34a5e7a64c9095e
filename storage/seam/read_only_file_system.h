#pragma once

#include <memory>
#include <string>
#include <vector>

#include "storage/seam/file_system.h"

namespace tidemill {

// Another file system, of which nothing can be altered: every call that would change a file or a name fails with EROFS.
// For whoever only looks (verify, backup), so that no code below can do harm by being helpful. The lock is the one
// exception: it is taken, for that is how others are kept away. `files` outlives it. Any thread.
class ReadOnlyFileSystem final : public FileSystem {
 public:
  explicit ReadOnlyFileSystem(FileSystem& files) : files_(files) {}

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> link(const std::string& from, const std::string& to) override;
  Result<void> remove(const std::string& path) override;
  Result<void> create_directory(const std::string& path) override;
  Result<void> sync_directory(const std::string& path) override;
  Result<std::vector<DirectoryEntry>> list(const std::string& path) override { return files_.list(path); }
  Result<FileInfo> info(const std::string& path) override { return files_.info(path); }
  Result<DiskSpace> space(const std::string& path) override { return files_.space(path); }
  Result<std::unique_ptr<DirectoryLock>> lock(const std::string& path) override { return files_.lock(path); }

 private:
  FileSystem& files_;
};

}  // namespace tidemill
