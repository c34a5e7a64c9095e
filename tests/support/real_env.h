#pragma once

#include "storage/base/logger.h"
#include "storage/seam/clock.h"
#include "storage/seam/env.h"
#include "storage/seam/posix_file_system.h"
#include "storage/seam/random.h"
#include "storage/seam/thread_executor.h"
#include "tests/support/hold_executor.h"
#include "tests/support/temp_dir.h"

namespace tidemill {

// What is not the real thing in a RealEnv.
struct Instead {
  FileSystem* files = nullptr;
  Clock* clock = nullptr;
  HoldExecutor* background = nullptr;  // before the real one
};

// A real disk (a temporary directory), the real clock, real threads. Close the parts before it goes.
struct RealEnv {
  explicit RealEnv(Logger& logger = null_logger(), const Instead& instead = {})
      : env{instead.files ? *instead.files : files,
            instead.clock ? *instead.clock : system_clock(),
            system_random(),
            flush,
            instead.background ? static_cast<Executor&>(*instead.background) : background,
            logger} {
    if (instead.background) instead.background->over(background);
  }
  // Both are at rest before either goes: their tasks post to each other.
  ~RealEnv() {
    background.stop();
    flush.stop();
  }

  TempDir directory;
  PosixFileSystem files;
  ThreadExecutor flush{"flush", 2};
  ThreadExecutor background{"background", 2};
  Env env;
};

}  // namespace tidemill
