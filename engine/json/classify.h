#pragma once

#include <string_view>

#include "engine/rejection.h"

namespace tidemill {

// Why a parser that only says "bad string" or "bad number" refused `text`: looks for the first string whose escapes, or
// number whose size, is to blame. Only called for refused texts; anything else wrong with them is invalid_json.
Rejection classify_bad_string(std::string_view text);
Rejection classify_bad_number(std::string_view text);

}  // namespace tidemill
