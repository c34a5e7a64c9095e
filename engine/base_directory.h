#pragma once

#include <cstdint>
#include <string>

#include "storage/base/result.h"
#include "storage/seam/file_system.h"

namespace tidemill {

// DATA/views.bases: numbered directories, of which the highest counts (docs/formats/bases.md). Views make them; a
// backup takes them along.
inline constexpr const char* kBasesDirectory = "views.bases";

// Its number; 0: there is none.
Result<std::uint64_t> newest_base(FileSystem& files, const std::string& directory);

}  // namespace tidemill
