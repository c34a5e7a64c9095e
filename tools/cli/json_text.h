#pragma once

#include <string_view>

namespace tidemill::cli {

// The value of a member of a JSON object, as it is spelled there (numbers keep their digits); empty: there is none, or
// the text is no object. Takes valid JSON for granted.
std::string_view json_member(std::string_view object, std::string_view name);

}  // namespace tidemill::cli
