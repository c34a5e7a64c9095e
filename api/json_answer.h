#pragma once

#include <string>
#include <utility>

#include "api/context.h"
#include "api/http/message.h"

namespace tidemill {

// Of who asks alone, and only now: keys, limits, the audit trail. No cache keeps it. `body` without its line end.
inline http::Response private_json(std::string body, int status = 200) {
  http::Response response;
  response.status = status;
  response.content_type = kJson;
  response.add_header("Cache-Control", "no-store");
  response.body = std::move(body);
  response.body.push_back('\n');
  return response;
}

}  // namespace tidemill
