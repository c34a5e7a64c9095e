#pragma once

#include <string>
#include <vector>

#include "consumers/views/definition.h"
#include "engine/stream.h"

namespace tidemill::views {

class Snapshot;

inline constexpr std::uint32_t kTrialRecords = 1'000;

// Runs a definition over the last records of its stream, in memory: what is misspelt gives NULL and no error, so it is
// better seen now than in the rows. `seen`: what its lookups are read from. Blocks on the disk; milliseconds. An error
// is the log's, or the store's.
Result<Trial> try_out(const Definition& definition, const Stream& stream, const LookedUp& lookups = {},
                      const Snapshot* seen = nullptr);

// What is worth saying of it, a sentence each. None is a reason to refuse.
std::vector<std::string> warnings_of(const Trial& trial);

}  // namespace tidemill::views
