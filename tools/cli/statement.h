#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace tidemill::cli {

// Whether POST /v1/sql answered a CREATE, ALTER, DROP or EXPLAIN of a definition: in JSON, whatever was asked for.
bool is_statement(std::string_view body);
// It for people. Warnings go to standard error.
std::string statement_text(const nlohmann::ordered_json& answer);
// The warnings alone, on standard error.
void print_warnings(const nlohmann::ordered_json& answer);
// "1200 of 5000 records" of the member `building`; empty: nothing is being built.
std::string building_text(const nlohmann::ordered_json& view);

}  // namespace tidemill::cli
