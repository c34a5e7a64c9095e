#include "tests/campaigns/call_sites.h"
#include "tests/support/source_tree.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <regex>

namespace tidemill {

std::vector<SourceLine> seam_calls_in_source() {
  static const std::regex call(
      R"((?:\b|_)(?:fs_?|files_?|file_?|copy|\(\*file\)|\(\*log\))(?:\.|->)(read_at|write_at|sync_data|size|truncate|open|rename|link|remove|create_directory|sync_directory|list|info|space|lock)\()");
  std::vector<SourceLine> out;
  const std::filesystem::path root = source_tree();
  for (const char* folder : {"storage", "engine", "consumers", "api"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
      const std::string name = entry.path().extension();
      if (name != ".cc" && name != ".h") continue;
      std::ifstream in(entry.path());
      int number = 0;
      for (std::string line; std::getline(in, line);) {
        ++number;
        line = line.substr(0, line.find("//"));
        if (std::regex_search(line, call)) out.push_back({std::filesystem::relative(entry.path(), root), number, line});
      }
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::map<const void*, SourceLine> locate(const std::set<const void*>& addresses) {
  Dl_info self;
  std::map<const void*, SourceLine> out;
  if (addresses.empty() || dladdr(reinterpret_cast<const void*>(&locate), &self) == 0) return out;
  std::string command = "addr2line -e " + std::filesystem::read_symlink("/proc/self/exe").string();
  for (const void* address : addresses) {
    char text[40];
    // One before: what is returned to may be another line's.
    std::snprintf(
        text, sizeof text, " %zx",
        static_cast<std::size_t>(static_cast<const char*>(address) - static_cast<const char*>(self.dli_fbase)) - 1);
    command += text;
  }
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return out;
  const std::string root = source_tree() + "/";
  char line[4096];
  for (const void* address : addresses) {
    if (std::fgets(line, sizeof line, pipe) == nullptr) break;
    std::string text = line;
    const std::size_t colon = text.rfind(':');
    if (colon == std::string::npos) continue;
    std::string file = std::filesystem::path(text.substr(0, colon)).lexically_normal();
    // A compiler cache may have made the object for another copy of the tree.
    std::size_t at = 0;
    while (at != std::string::npos && !std::filesystem::exists(root + file.substr(at + 1))) at = file.find('/', at + 1);
    if (at != std::string::npos) out[address] = {file.substr(at + 1), std::atoi(text.c_str() + colon + 1), {}};
  }
  ::pclose(pipe);
  return out;
}

}  // namespace tidemill
