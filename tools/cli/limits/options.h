#pragma once

#include <optional>
#include <string>

#include "tools/cli/commands.h"

namespace tidemill::cli {

struct LimitsOptions {
  Remote remote;
  std::string data;         // instead of a server: a directory that none uses
  std::string key, tenant;  // whose
  // As they were said; `none`: not any more.
  struct Of {
    std::optional<std::string> rate, day, month;
  };
  Of requests, records, bytes;
  std::optional<std::string> connections, streams, disk;
};
int limits_set(const LimitsOptions& options);
int limits_show(const LimitsOptions& options);
int limits_list(const LimitsOptions& options);
int limits_remove(const LimitsOptions& options);

}  // namespace tidemill::cli
