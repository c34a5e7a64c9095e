#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "storage/base/result.h"
#include "storage/log/log.h"

namespace tidemill::views {

// Reading records of a log by their sequences, as a row's lineage has them: those that lie close together at once.
using Run = std::span<const std::uint64_t>;  // ascending, never empty

// Cuts ascending sequences into such runs. None has both what the log still holds and what lies before its start.
std::vector<Run> runs_of(Run ascending, Sequence log_start);

// Hands over those of the run that can be read, in order and in pieces; their bytes are good during the call. What is
// damaged is passed over. StorageErrc::before_start: the log no longer has all of it. Blocks on the disk.
Result<void> read_run(Log& log, Run run, const std::function<Result<void>(std::span<const Record>)>& visit);

}  // namespace tidemill::views
