#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "api/errors/catalogue.h"
#include "api/http/message.h"
#include "storage/base/result.h"

namespace tidemill {

inline constexpr std::string_view kProblemType = "application/problem+json";

// An RFC 9457 answer. `detail`: what is wrong in this case; `members`: further JSON members, each with a comma before
// it (`,"allow":["GET"]`). Adds Retry-After where the status wants one: `retry_after` in whole seconds, 1 to 60.
http::Response problem(ErrorId id, std::string_view detail = {}, std::string_view members = {},
                       std::chrono::nanoseconds retry_after = {});

// What an error code of storage or engine is to a client. Never shows the code's own text, for that may name a path.
ErrorId error_id(const ErrorCode& error);

// The same for a code that views give with their sentences (views::SqlError::code).
ErrorId error_id(std::string_view views_code);

}  // namespace tidemill
