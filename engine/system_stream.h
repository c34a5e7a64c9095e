#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "engine/audit/chain.h"
#include "storage/base/result.h"
#include "storage/log/log.h"
#include "storage/seam/env.h"

namespace tidemill {

// The log of everything that is not a record: definitions of streams and views, later keys, schemas, jobs, quarantine
// decisions. Same format, flush and recovery as any stream; its name is `_system`. Each event is a JSON record:
// partition key = the event's type ("stream.created", "view.created", ...), data = its JSON object. State is what the
// folds make of it: start reads the whole log, there is no snapshot yet (it is small: a few hundred bytes for each
// stream, view or decision). Events are chained by hashes (engine/audit/chain.h): a part of the log that was altered is
// named by `tidemill verify`; here it is said to the logger and counted, and what stands there is folded all the same.
class SystemStream {
 public:
  struct Event {
    Sequence sequence;
    WallTime time{};
    std::string_view type;
    std::string_view json;
  };
  using Fold = std::function<void(const Event&)>;

  SystemStream(Env& env, std::shared_ptr<Log> log);  // `env`: Engine::control()
  ~SystemStream();

  // Registers what to do with events whose type begins with `prefix` and hands it all that have happened, in order,
  // before it returns. Afterwards it is called for each new event, after its flush, before append() returns, on
  // env.background, one call at a time: briefly, for all that follows waits for it. It must not call append() and wait.
  // Blocks on the disk. StorageErrc::damaged when a part of the log cannot be read: then nothing is registered.
  Result<void> fold(std::string_view prefix, Fold fold);

  // The event is durable and folded when `done` is called, on env.background. One event at a time, in order of the
  // calls: `check` (optional) sees the state with all earlier ones folded in and may refuse (two creations of one
  // name). Any thread; does not block.
  using Check = std::function<Result<void>()>;
  using Done = std::function<void(Result<Sequence>)>;
  void append_async(std::string_view type, std::string_view json, Check check, Done done);

  // The same, waiting for it: never inside an executor's task, never on a network thread.
  Result<Sequence> append(std::string_view type, std::string_view json, Check check = {});

  // The last event and its hash. Blocks on the disk before the first fold() or append(). StorageErrc::damaged.
  Result<ChainHead> head() const;
  // Events found, when the log was read, that were not written after the one that stands before them.
  std::uint64_t chain_breaks() const;

  Log& log() const { return *log_; }
  const std::shared_ptr<Log>& shared_log() const { return log_; }

 private:
  struct Impl;
  std::shared_ptr<Log> log_;
  std::shared_ptr<Impl> impl_;
};

}  // namespace tidemill
