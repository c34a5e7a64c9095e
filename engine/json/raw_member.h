#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tidemill {

// The value of one member of a JSON object, as it is spelled there; of several of that name the first. nullopt: there
// is none, or this is no JSON object.
std::optional<std::string> raw_member(std::string_view object, std::string_view name);

}  // namespace tidemill
