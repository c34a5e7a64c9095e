#include "storage/seam/file_system.h"

#include <algorithm>
#include <cerrno>

namespace tidemill {
namespace {

ErrorCode errno_code(int value) {
  return {value, boost::system::generic_category()};
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Result<void> create_directories(FileSystem& fs, const std::string& path) {
  if (path.empty() || path == "." || path == "/") return {};
  if (path.back() == '/') return create_directories(fs, path.substr(0, path.find_last_not_of('/') + 1));
  const auto there = fs.info(path);
  if (there) {
    if (there->is_directory) return {};
    return errno_code(ENOTDIR);
  }
  if (there.error() != errno_code(ENOENT)) return there.error();
  const std::string parent = parent_of(path);
  RETURN_IF_ERROR(create_directories(fs, parent));
  const auto made = fs.create_directory(path);
  if (!made && made.error() != errno_code(EEXIST)) return made.error();  // EEXIST: somebody was faster
  const auto synced = fs.sync_directory(parent);
  if (!synced) (void)fs.remove(path);  // else the next attempt would take it for durable
  return synced;
}

Result<void> create_directories_below(FileSystem& fs, const std::string& root, const std::string& path) {
  std::string parent = root;
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string child = parent + "/" + path.substr(at, end - at);
    at = end + 1;
    const auto made = fs.create_directory(child);
    if (!made && made.error() != errno_code(EEXIST)) return made.error();
    RETURN_IF_ERROR(fs.sync_directory(parent));
    parent = child;
  }
  return {};
}

Result<std::string> read_file(FileSystem& fs, const std::string& path, std::uint64_t size_max) {
  ASSIGN_OR_RETURN(const auto file, fs.open(path, OpenMode::read));
  ASSIGN_OR_RETURN(const std::uint64_t size, file->size());
  if (size > size_max) return errno_code(EFBIG);
  std::string text(size, '\0');
  ASSIGN_OR_RETURN(const std::size_t got, file->read_at(ByteOffset(0), std::as_writable_bytes(std::span(text))));
  text.resize(got);
  return text;
}

bool exists(FileSystem& fs, const std::string& path) {
  return fs.info(path).has_value();
}

Result<bool> is_there(FileSystem& fs, const std::string& path) {
  const auto info = fs.info(path);
  if (!info && info.error() != errno_code(ENOENT)) return info.error();
  return info.has_value();
}

Result<void> remove_tree(FileSystem& fs, const std::string& path) {
  ASSIGN_OR_RETURN(const FileInfo info, fs.info(path));
  if (info.is_directory) {
    ASSIGN_OR_RETURN(const auto entries, fs.list(path));
    for (const auto& entry : entries) RETURN_IF_ERROR(remove_tree(fs, path + "/" + entry.name));
  }
  return fs.remove(path);
}

}  // namespace tidemill
