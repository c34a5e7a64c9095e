#pragma once

#include <memory>
#include <string>

#include "engine/limits/limiter.h"
#include "tools/cli/keys/local_keys.h"
#include "tools/cli/limits/options.h"

namespace tidemill::cli {

// `tidemill limits` on a data directory that no server uses: what is set there holds from the server's next start on.
// The owner has been judged; the exit code, and what is wrong has been said.
int limits_set_local(const LimitsOptions& options, const LimitOwner& owner);
int limits_show_local(const LimitsOptions& options, const LimitOwner& owner);
int limits_list_local(const LimitsOptions& options);
int limits_remove_local(const LimitsOptions& options, const LimitOwner& owner);

}  // namespace tidemill::cli
