#pragma once

#include <vector>

#include "consumers/views/database.h"
#include "consumers/views/view.h"
#include "consumers/views/views.h"
#include "engine/stream.h"

namespace tidemill::views {

// Makes the view anew from the log in a family of its own, up to the checkpoint that the snapshot shows, and compares
// every key and value with it, byte by byte. At most 1,000 differences are kept. Blocks, long: never on a network loop.
// `scratch` is where the family is made, with `env`'s files: another database where the view's own is only read.
Result<std::vector<Views::Difference>> rebuild_and_compare(Env& env, const Database& database, Database& scratch,
                                                           const Stream& stream, const View& view);

}  // namespace tidemill::views
