#pragma once

#include <nlohmann/json_fwd.hpp>

namespace tidemill::cli {

// Prints a table with one line for each limit of each owner, as the API has them: what it is, and what is left of it,
// where that is known. kOk.
int say_limits(const nlohmann::ordered_json& owners, bool with_left);

}  // namespace tidemill::cli
