#pragma once

#include <functional>
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
// It takes a processor no longer than `go_on` lets it, which is asked now and then: then the error is ETIMEDOUT.
Result<Trial> try_out(const Definition& definition, const Stream& stream, const std::function<bool()>& go_on,
                      const LookedUp& lookups = {}, const Snapshot* seen = nullptr);
// As long as a question may take if nobody says otherwise, from now on.
std::function<bool()> trial_time();
inline constexpr const char* kTrialTooSlow =
    "The last records were not tried out: the definition takes too long, or too much memory, for each of them. It "
    "would "
    "hold up all views of the stream.";

// What is worth saying of it, a sentence each. None is a reason to refuse.
std::vector<std::string> warnings_of(const Trial& trial);

}  // namespace tidemill::views
