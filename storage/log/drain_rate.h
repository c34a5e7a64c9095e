#pragma once

#include <chrono>
#include <cstdint>

#include "storage/base/time.h"

namespace tidemill {

// How fast the writer empties the queue: bytes taken off it by a second of its work, where what was long ago counts
// less and less. Time in which nothing queued does not count. Not for several threads at once: AppendQueue's lock
// guards it.
class DrainRate {
 public:
  // The writer has something to do from now on.
  void busy(MonotonicTime now) { since_ = now; }
  // So many bytes have left the queue. If there are more, the writer goes on with them at once.
  void drained(std::uint64_t bytes, MonotonicTime now);
  // How long so many bytes will probably take, asked while the writer is at work: a commit that hangs slows the
  // estimate down as long as it does. 0: nothing was measured yet.
  std::chrono::nanoseconds time_for(std::uint64_t bytes, MonotonicTime now) const;

 private:
  MonotonicTime since_{};  // what was drained later is not counted yet
  double bytes_ = 0;
  double seconds_ = 0;
};

}  // namespace tidemill
