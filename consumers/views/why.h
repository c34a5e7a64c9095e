#pragma once

#include <optional>

#include "consumers/views/decisions.h"
#include "consumers/views/view.h"
#include "consumers/views/views.h"
#include "engine/stream.h"

namespace tidemill::views {

// Which records made a row, by its lineage, and what they are, from the log. nullopt: there is no such row. An answer
// has at most 8 MiB of them, or one. `decisions`: nullptr: there are none. Blocks on the disk.
Result<std::optional<WhyResult>> why(const View& view, const Snapshot& snapshot, const Stream& stream,
                                     const Decisions* decisions, const Row& key, const WhyOptions& options);

}  // namespace tidemill::views
