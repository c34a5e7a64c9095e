#include <cstdio>

#include "storage/base/build_info.h"
#include "tools/cli/commands.h"

namespace tidemill::cli {

std::string version_text() {
  return "tidemill " + std::string(version()) + " (commit " + std::string(commit()) +
         ")\nreads and writes: directory layout 1, log segments 1, archive manifest 1, load progress 1";
}

int print_version() {
  std::puts(version_text().c_str());
  return kOk;
}

}  // namespace tidemill::cli
