#include "engine/base_directory.h"

#include <algorithm>
#include <charconv>

namespace tidemill {

Result<std::vector<std::uint64_t>> numbers_in(FileSystem& files, const std::string& directory) {
  std::vector<std::uint64_t> numbers;
  const auto entries = files.list(directory);
  if (!entries) {
    if (entries.error() == boost::system::errc::no_such_file_or_directory) return numbers;
    return entries.error();
  }
  for (const DirectoryEntry& e : *entries) {
    std::uint64_t n = 0;
    const char* const end = e.name.data() + e.name.size();
    const auto [stop, error] = std::from_chars(e.name.data(), end, n);
    if (error == std::errc() && stop == end && n != 0 && e.name == std::to_string(n)) numbers.push_back(n);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

Result<std::uint64_t> newest_base(FileSystem& files, const std::string& directory) {
  ASSIGN_OR_RETURN(const auto numbers, numbers_in(files, directory));
  return numbers.empty() ? std::uint64_t{0} : numbers.back();
}

}  // namespace tidemill
