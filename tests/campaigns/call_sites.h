#pragma once

#include <compare>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace tidemill {

// A place in the source where the seam is called.
struct SourceLine {
  std::string file;  // from the root of the tree
  int line = 0;
  std::string text;
  auto operator<=>(const SourceLine&) const = default;
};

// All of them, found by reading the source: a call of a FileSystem's or File's function on what is called files, fs,
// file or copy.
std::vector<SourceLine> seam_calls_in_source();

// Where in the source these addresses of this program are (addr2line). `text` is left empty.
std::map<const void*, SourceLine> locate(const std::set<const void*>& addresses);

}  // namespace tidemill
