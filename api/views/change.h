#pragma once

#include "api/http/message.h"
#include "consumers/views/views.h"
#include "engine/json/writer.h"

namespace tidemill {

// What a statement did, as both doors say it: POST /v1/sql and PUT /v1/views/{view}.
void write_statement(JsonWriter& json, const views::StatementResult& result);
// The members `warnings` and `trial` (where there was one).
void write_findings(JsonWriter& json, const std::vector<std::string>& warnings, const views::Trial* trial,
                    const std::vector<views::Column>& columns);
void write_columns(JsonWriter& json, const std::vector<views::Column>& columns);
// The members `deterministic` and `lookups`.
void write_lookups(JsonWriter& json, const views::ViewInfo& info);
// The member `expiry`, where rows go with time.
void write_expiry(JsonWriter& json, const views::ViewInfo& info);
// The member `building`, where something is.
void write_building(JsonWriter& json, const views::ViewInfo& info);

}  // namespace tidemill
