#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "storage/log/log.h"

namespace tidemill {

// The log of everything that is not a record: definitions of streams and views, later keys, schemas, jobs, quarantine
// decisions. Same format, flush and recovery as any stream; its name is `_system`. Each event is a JSON record:
// partition key = the event's type ("stream.created", "view.created", ...), data = its JSON object. State is what the
// folds make of it.
class SystemStream {
 public:
  struct Event {
    Sequence sequence;
    WallTime time{};
    std::string_view type;
    std::string_view json;
  };
  using Fold = std::function<void(const Event&)>;

  explicit SystemStream(std::shared_ptr<Log> log);

  // Registers what to do with events whose type begins with `prefix` and hands it all that have happened, in order,
  // before it returns. Afterwards it is called for each new event, after its flush, before append() returns. Blocks.
  Result<void> fold(std::string_view prefix, Fold fold);

  // Durable when it returns. One at a time; `check` (optional) runs under the same lock as the folds just before the
  // append and may refuse (two creations of one name). Blocks: never on a network or flush thread.
  Result<Sequence> append(std::string_view type, std::string_view json,
                          const std::function<Result<void>()>& check = {});

  Log& log() const { return *log_; }

 private:
  std::shared_ptr<Log> log_;
  // the engine's developer fills in
};

}  // namespace tidemill
