#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "consumers/views/database.h"
#include "consumers/views/view.h"
#include "consumers/views/views.h"
#include "engine/stream.h"

namespace tidemill::views {

// What a base has of the view, put into `family` of `database`, which is empty: as Bases::rebuild.
using FromBase = std::function<Result<std::optional<Checkpoint>>(Database& database, const Family& family,
                                                                 Sequence first, Sequence durable)>;

// Makes the view anew in a family of its own, up to the checkpoint that the snapshot shows, and compares every key and
// value with it, byte by byte: from the log, or where that no longer has all that the view counts, from the base and
// the log. At most 1,000 differences are kept. Blocks, long: never on a network loop. `scratch` is where the family is
// made, with `env`'s files: another database where the view's own is only read. StorageErrc::before_start: there is
// nothing to make it from.
Result<std::vector<Views::Difference>> rebuild_and_compare(Env& env, const Database& database, Database& scratch,
                                                           const Stream& stream, const View& view,
                                                           const FromBase& from_base);

}  // namespace tidemill::views
