#pragma once

#include <memory>
#include <optional>
#include <string>

#include "storage/base/result.h"
#include "storage/log/log.h"
#include "storage/log/log_cut.h"
#include "storage/seam/env.h"

namespace tidemill {

// Opens a log to be read and nothing else: no recovery, no new segment, no index written. Nobody writes to it, or
// `cut` says how far to look at one that a server writes to. Serves what recovery would, and reports losses the same
// way; appends are refused (closed). `env.files` should refuse writes (ReadOnlyFileSystem): an index that is missing is
// then made in memory. Errors as Log::open; StorageErrc::damaged where no segment can be read.
Result<std::shared_ptr<Log>> open_log_read_only(Env& env, const std::string& directory,
                                                std::optional<Incarnation> incarnation,
                                                const std::optional<LogCut>& cut);

}  // namespace tidemill
