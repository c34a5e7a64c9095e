#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/engine.h"
#include "engine/keys/keys.h"
#include "storage/base/logger.h"
#include "storage/seam/posix_file_system.h"
#include "storage/seam/thread_executor.h"

namespace tidemill::cli {

// The keys of a data directory that no server uses: how the first one is made, by somebody on the machine itself. Holds
// the directory's lock as long as it lives.
class LocalKeys {
 public:
  // A directory that is none yet is made by `Missing::make` only: who looks for a key has mistyped it. nullptr: `error`
  // says why, and what to do.
  enum class Missing : bool { refuse, make };
  static std::unique_ptr<LocalKeys> open(const std::string& data, Missing missing, std::string& error);
  ~LocalKeys();
  Keys& keys() { return *keys_; }
  Engine& engine() { return *engine_; }
  Env& env() { return env_; }
  Executor& background() { return background_; }

 private:
  LocalKeys();

  class Errors;  // the engine's log, as far as it is errors
  std::unique_ptr<Errors> errors_;
  PosixFileSystem files_;
  ThreadExecutor flush_{"flush", 1};
  ThreadExecutor background_{"background", 2};
  Env env_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Keys> keys_;
};

}  // namespace tidemill::cli
