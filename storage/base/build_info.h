#pragma once

#include <string_view>

namespace tidemill {

// Which program this is. The source is made at build time by tools/build_info.cmake.
std::string_view version();  // "0.1.0"
std::string_view commit();   // "1a2b3c4d5e6f", with "-dirty" when the tree was changed; "unknown" outside a repository

}  // namespace tidemill
