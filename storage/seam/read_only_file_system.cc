#include "storage/seam/read_only_file_system.h"

#include <cerrno>

namespace tidemill {
namespace {

ErrorCode refused() {
  return {EROFS, boost::system::generic_category()};
}

}  // namespace

// A file that was opened for reading refuses writes by itself.
Result<std::unique_ptr<File>> ReadOnlyFileSystem::open(const std::string& path, OpenMode mode) {
  if (mode != OpenMode::read) return refused();
  return files_.open(path, mode);
}

Result<void> ReadOnlyFileSystem::rename(const std::string&, const std::string&) {
  return refused();
}
Result<void> ReadOnlyFileSystem::link(const std::string&, const std::string&) {
  return refused();
}
Result<void> ReadOnlyFileSystem::remove(const std::string&) {
  return refused();
}
Result<void> ReadOnlyFileSystem::create_directory(const std::string&) {
  return refused();
}
Result<void> ReadOnlyFileSystem::sync_directory(const std::string&) {
  return refused();
}

}  // namespace tidemill
