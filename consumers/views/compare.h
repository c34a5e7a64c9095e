#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "consumers/views/database.h"
#include "consumers/views/decisions.h"
#include "consumers/views/view.h"
#include "consumers/views/views.h"
#include "engine/stream.h"

namespace tidemill::views {

// What a base has of the view, put into `family` of `database`, which is empty: as Bases::rebuild.
using FromBase = std::function<Result<std::optional<Checkpoint>>(Database& database, const Family& family,
                                                                 Sequence first, Sequence durable)>;

// Those that have taken effect where the snapshot was taken: a record that is in quarantine there is one about which
// nothing was decided yet, or in vain.
Result<std::shared_ptr<const Decisions>> taken_up(const std::shared_ptr<const Decisions>& all, const Snapshot& live,
                                                  const Family& family);

// Makes the view anew in a family of its own, up to the checkpoint that the snapshot shows, and compares every key and
// value with it, byte by byte (the lineage, too, where both began with the same record): from the log, or where that no
// longer has all that the view counts, from the base and the log. At most 1,000 differences are kept. Blocks, long:
// never on a network loop. `scratch` is where the family is made, with `env`'s files: another database where the view's
// own is only read. StorageErrc::before_start: there is nothing to make it from. Where it looks up other views, it
// finds there what the snapshot shows now, so that a difference is not necessarily a fault. Decisions that the view has
// not yet taken up are left out.
Result<std::vector<Views::Difference>> rebuild_and_compare(Env& env, const Database& database, Database& scratch,
                                                           const Stream& stream, const View& view,
                                                           const LookedUp& lookups,
                                                           const std::shared_ptr<const Decisions>& decisions,
                                                           const FromBase& from_base);

}  // namespace tidemill::views
