#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tools/cli/output.h"

namespace tidemill::cli {

// A JSON value as a cell of a table: text without its quotes, null as nothing, the rest as JSON.
Cell cell_of(const nlohmann::ordered_json& value);
// Objects as a table: their names are the columns. Without any it is empty.
std::string table_of_objects(const nlohmann::ordered_json& array);
// One object, a member a line.
std::string members_of_object(const nlohmann::ordered_json& object);

}  // namespace tidemill::cli
