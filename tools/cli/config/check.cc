#include <cstdio>

#include "tools/cli/commands.h"
#include "tools/cli/config/config.h"

namespace tidemill::cli {

int config_check(const ConfigOptions& options) {
  ConfigErrors errors;
  const Config config = load_config({.file = options.file, .environment = environment_of_process()}, errors);
  for (const std::string& e : errors) std::fprintf(stderr, "%s\n", e.c_str());
  if (!errors.empty()) {
    std::fprintf(stderr, "tidemill config: %zu mistake%s\n", errors.size(), errors.size() == 1 ? "" : "s");
    return kWrongUse;
  }
  std::printf("%s: fine (%zu stream%s, %zu view%s)\n", options.file.value_or("built-in configuration").c_str(),
              config.streams.size(), config.streams.size() == 1 ? "" : "s", config.views.size(),
              config.views.size() == 1 ? "" : "s");
  return kOk;
}

}  // namespace tidemill::cli
