#pragma once

#include <optional>
#include <variant>

#include "consumers/views/decisions.h"
#include "consumers/views/view.h"
#include "consumers/views/views.h"
#include "engine/stream.h"
#include "storage/seam/clock.h"

namespace tidemill::views {

// A row of the snapshot as it was when the log had got to `at`, which the view has come to: its records up to there,
// known by its lineage and read from the log, folded once more. nullopt: there was none. Rows are told exactly or not
// at all. Blocks on the disk, for as long as the limits let it; `until` is when it gives up.
struct PastLimits {
  MonotonicTime until;
  std::function<bool()> cancelled;  // may be empty
};
using PastRow = std::variant<std::optional<Row>, PastRefusal>;
Result<PastRow> row_at(const View& view, const Snapshot& snapshot, const Stream& stream, const Decisions* decisions,
                       const Row& key, Sequence at, Clock& clock, const PastLimits& limits);

}  // namespace tidemill::views
