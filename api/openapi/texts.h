#pragma once

#include <span>
#include <string_view>

namespace tidemill {

// The JSON files of this folder, built into the program (embed.cmake).
std::span<const std::string_view> openapi_schemas();  // each an object: name to JSON Schema
std::string_view openapi_parameters();                // path, query and header parameters, headers of answers
// Name of a schema to a value of it; "SCHEMA MEDIA/TYPE" to a text of that type.
std::string_view openapi_examples();

}  // namespace tidemill
