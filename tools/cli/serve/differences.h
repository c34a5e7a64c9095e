#pragma once

#include <string>
#include <vector>

#include "consumers/views/views.h"
#include "engine/engine.h"
#include "tools/cli/config/config.h"

namespace tidemill::cli {

StreamDefinition definition_of(const StreamConfig& stream);

// What of the configuration differs from what exists, as sentences: "stream retail: shards is 4, the file says 8".
std::vector<std::string> differences(const StreamConfig& wanted, const StreamDefinition& there);
std::vector<std::string> differences(const ViewConfig& wanted, const views::ViewInfo& there);
std::string fields_text(
    const std::map<std::string, FieldType, std::less<>>& fields);  // Quantity:integer UnitPrice:number

}  // namespace tidemill::cli
