#include "engine/lag.h"

#include <algorithm>
#include <chrono>

#include "storage/base/errors.h"

namespace tidemill {
namespace {

constexpr int kTriesMax = 100;  // damaged ranges passed over

}  // namespace

std::optional<double> lag_seconds(Log& log, Clock& clock, Sequence from) {
  ReadOptions one;
  one.records_max = 1;
  one.bytes_max = 1;
  for (int tries = 0; tries < kTriesMax; ++tries) {
    from = std::max(from, log.start());  // what retention took away nobody waits for
    if (from > log.durable()) return 0;
    const auto batch = log.read(from, one);
    if (!batch && batch.error() == StorageErrc::before_start) continue;  // taken away meanwhile
    if (!batch || (batch->records.empty() && batch->next <= from)) return std::nullopt;
    if (!batch->records.empty()) {
      const std::chrono::duration<double> age = clock.wall() - batch->records.front().arrival;
      return std::max(0.0, age.count());
    }
    from = batch->next;  // damaged: the next that can be read
  }
  return std::nullopt;
}

}  // namespace tidemill
