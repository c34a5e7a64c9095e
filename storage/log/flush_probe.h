#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "storage/base/result.h"
#include "storage/seam/clock.h"
#include "storage/seam/file_system.h"

namespace tidemill {

// How long a directory's disk takes to make 4 KiB durable, in blocks written before, as the log writes.
struct FlushTime {
  std::uint32_t flushes = 0;  // so many were tried
  std::chrono::nanoseconds median{};
  std::chrono::nanoseconds max{};

  // No disk that keeps what it was told to keep is so fast: something between it and us says "flushed" and does
  // nothing (a file system in memory, a cache without a battery, libeatmydata). A slower lie cannot be told from the
  // truth by its time.
  bool implausible() const { return median < std::chrono::microseconds(10); }
};

// Tries it: blocks, and takes 64 flushes or a tenth of a second, whichever ends first, and at least one flush.
// The file that it needs is gone when it returns.
Result<FlushTime> probe_flush(FileSystem& files, Clock& clock, const std::string& directory);

inline constexpr const char* kFlushProbeFile = "flush.probe";

}  // namespace tidemill
