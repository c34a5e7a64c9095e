#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "storage/base/result.h"
#include "storage/seam/file_system.h"

namespace tidemill {

// DATA/views.bases: numbered directories, of which the highest counts (docs/formats/bases.md). Views make them; a
// backup takes them along.
inline constexpr const char* kBasesDirectory = "views.bases";

// Names that are numbers from 1 on, ascending. No such directory: none.
Result<std::vector<std::uint64_t>> numbers_in(FileSystem& files, const std::string& directory);
// Its number; 0: there is none.
Result<std::uint64_t> newest_base(FileSystem& files, const std::string& directory);

}  // namespace tidemill
