#pragma once

#include <cstdint>
#include <memory>

#include "storage/seam/executor.h"

namespace tidemill {

// Whose commit is next on the flush threads, where several logs wait: the one that has had least of the disk. What it
// had is counted in bytes, a flush as so many more (they cost about the same), and what it did not use while it had
// nothing to write is not saved up. So loud streams share the disk equally, and a quiet one waits for no more than the
// commits that are being written when it comes. (Start-time fair queueing.)
//
// A log has at most one task here at a time. Any thread.
class FlushTurns {
 public:
  FlushTurns();
  ~FlushTurns();

  // A log's account. Owned by the log; touched by post() and charge() only.
  struct Account {
    std::uint64_t begin = 0;  // of its last turn, on the common scale
    std::uint64_t end = 0;
  };
  static constexpr std::uint64_t kFlushBytes = 256 << 10;  // what a flush costs, on the scale of bytes

  void post(Executor& flush, Account& account, Task task);
  void charge(Account& account, std::uint64_t bytes);  // after its turn, before its next post()

 private:
  struct State;
  std::shared_ptr<State> state_;  // tasks that the executor holds share it
};

}  // namespace tidemill
