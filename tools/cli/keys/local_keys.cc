#include "tools/cli/keys/local_keys.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/errors.h"
#include "storage/base/errors.h"
#include "storage/seam/clock.h"
#include "storage/seam/random.h"
#include "tools/cli/looking.h"

namespace tidemill::cli {

// On standard error, with the values that say where; at the opening only once it is known that they are worth it.
class LocalKeys::Errors final : public Logger {
 public:
  bool enabled(LogLevel level) const override { return level == LogLevel::error; }
  void write(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) override {
    if (!enabled(level)) return;
    std::string line = "tidemill: " + std::string(message);
    for (const LogField& field : fields) line.append(" ").append(field.name).append("=").append(field.value);
    const std::lock_guard lock(mutex_);
    if (open_) {
      std::fprintf(stderr, "%s\n", line.c_str());
    } else {
      held_.push_back(std::move(line));
    }
  }
  // From now on as it comes. `say`: also what has come.
  void open(bool say) {
    const std::lock_guard lock(mutex_);
    open_ = true;
    for (const std::string& line : std::exchange(held_, {}))
      if (say) std::fprintf(stderr, "%s\n", line.c_str());
  }

 private:
  std::mutex mutex_;
  bool open_ = false;
  std::vector<std::string> held_;
};

// Of which the engine says what cannot_look() says, too.
static bool said_by_cannot_look(const ErrorCode& error) {
  return error == StorageErrc::directory_in_use || error == StorageErrc::layout_too_new ||
         error == EngineErrc::not_a_data_directory;
}

LocalKeys::LocalKeys()
    : errors_(std::make_unique<Errors>()), env_{files_, system_clock(), system_random(),
                                                flush_, background_,    *errors_} {}

LocalKeys::~LocalKeys() {
  if (keys_) (void)keys_->close().has_value();
  if (engine_) (void)engine_->close().has_value();
  keys_.reset();
  engine_.reset();
  background_.stop();
  flush_.stop();
}

std::unique_ptr<LocalKeys> LocalKeys::open(const std::string& data, Missing missing, std::string& error) {
  // What this process makes in it, the server must be able to write.
  struct stat info {};
  const auto there = [&](const char* name) { return ::stat((data + name).c_str(), &info) == 0 || errno == EACCES; };
  if (missing == Missing::refuse && !there("/TIDEMILL") && !there("/streams")) {
    error = "there is no data directory " + data + "; say which with --data";
    return nullptr;
  }
  if (::stat(data.c_str(), &info) == 0 && info.st_uid != ::geteuid()) {
    error = data +
            " belongs to another user: run this as the server's user (sudo -u NAME tidemill ...), whose "
            "files these will be";
    return nullptr;
  }
  std::unique_ptr<LocalKeys> local(new LocalKeys);
  Engine::Options options;
  options.data = data;
  auto engine = Engine::open(local->env_, options);
  local->errors_->open(engine || !said_by_cannot_look(engine.error()));
  if (!engine) {
    error = cannot_look(engine.error(), data, false);
    return nullptr;
  }
  local->engine_ = std::move(*engine);
  auto keys = Keys::open(local->env_, local->engine_->system(), {data, system_private_files()});
  if (!keys) {
    error = "the keys in " + data + " cannot be read: " + keys.error().message();
    return nullptr;
  }
  local->keys_ = std::move(*keys);
  return local;
}

}  // namespace tidemill::cli
