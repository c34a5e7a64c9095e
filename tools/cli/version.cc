#include <cstdio>

#include "storage/base/build_info.h"
#include "tools/cli/commands.h"

namespace tidemill::cli {

int print_version() {
  const std::string_view v = version();
  const std::string_view c = commit();
  std::printf("tidemill %.*s (commit %.*s)\n", static_cast<int>(v.size()), v.data(), static_cast<int>(c.size()),
              c.data());
  std::puts("reads and writes: directory layout 1, log segments 1, archive manifest 1, load progress 1");
  return std::fflush(stdout) == 0 ? kOk : kWrongUse;
}

}  // namespace tidemill::cli
