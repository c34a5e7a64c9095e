#pragma once

#include <string>

#include "engine/data_cut.h"
#include "storage/base/logger.h"
#include "storage/base/result.h"
#include "storage/seam/clock.h"
#include "storage/seam/env.h"
#include "storage/seam/posix_file_system.h"
#include "storage/seam/random.h"
#include "storage/seam/read_only_file_system.h"
#include "storage/seam/thread_executor.h"
#include "tools/cli/remote.h"

namespace tidemill::cli {

// What a command needs that looks at a data directory from beside: `env` cannot alter anything, `writing` can.
struct Looking {
  PosixFileSystem files;
  ReadOnlyFileSystem only{files};
  ThreadExecutor flush{"flush", 1};
  ThreadExecutor background{"background", 1};
  Env env{only, system_clock(), system_random(), flush, background, null_logger()};
  Env writing{files, system_clock(), system_random(), flush, background, null_logger()};
};

// GET /v1/cut. `said`: an error was, on standard error.
Result<DataCut> ask_cut(const Server& server, std::string_view command, int& exit_code);
// Why a data directory cannot be looked at, and what to do: a sentence.
std::string cannot_look(const ErrorCode& error, const std::string& data, bool online);

}  // namespace tidemill::cli
