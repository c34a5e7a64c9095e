#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "consumers/archive/manifest_format.h"
#include "storage/base/finding.h"
#include "storage/base/result.h"
#include "storage/seam/file_system.h"

namespace tidemill::archive {

// All that a manifest says, unit by unit, in its order. A line that takes another's path stands in its place.
struct ManifestContent {
  struct Unit {
    std::vector<FileLine> files;
    std::vector<LostLine> lost;
    Sequence through;
  };
  std::optional<HeaderLine> header;  // none: there is no manifest, or not even its first line can be read
  std::map<std::string, Unit, std::less<>> units;
  bool damaged = false;
};

// Names every line that is not valid: a torn last one is a note, any other damage.
Result<ManifestContent> read_manifest(FileSystem& files, const std::string& directory, const FindingSink& sink);

}  // namespace tidemill::archive
