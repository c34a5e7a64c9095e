#pragma once

#include "tools/cli/commands.h"
#include "tools/cli/remote.h"

namespace tidemill::cli {

// `tidemill sql` on a terminal, without a statement: statements that end with `;`, over as many lines as they need, and
// commands that begin with a backslash.
int sql_shell(const Server& server, const SqlOptions& options);

}  // namespace tidemill::cli
