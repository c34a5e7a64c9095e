#include "engine/base_directory.h"

#include <algorithm>
#include <charconv>

namespace tidemill {

Result<std::uint64_t> newest_base(FileSystem& files, const std::string& directory) {
  const auto entries = files.list(directory);
  if (!entries) {
    if (entries.error() == boost::system::errc::no_such_file_or_directory) return std::uint64_t{0};
    return entries.error();
  }
  std::uint64_t newest = 0;
  for (const DirectoryEntry& e : *entries) {
    std::uint64_t n = 0;
    const char* const end = e.name.data() + e.name.size();
    const auto [stop, error] = std::from_chars(e.name.data(), end, n);
    if (error == std::errc() && stop == end && e.name == std::to_string(n)) newest = std::max(newest, n);
  }
  return newest;
}

}  // namespace tidemill
