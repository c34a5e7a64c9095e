#pragma once

#include <memory>
#include <span>
#include <string>

#include "api/http/responder.h"
#include "api/router/router.h"

namespace tidemill {

// The OpenAPI 3.1 document of the routes, as JSON: from the route table, api/openapi/operations.h and the schemas
// beside it. What one of them lacks is a CHECK, so a test that makes it finds that.
std::string openapi_document(std::span<const Route> routes);

// The document as it is served: made once, with the table, and the same from then on. On a loop's thread.
class OpenApi {
 public:
  void make(std::span<const Route> routes);
  // 304 to who has it already (If-None-Match).
  void answer(const http::Request& request, http::Responder responder) const;

 private:
  std::shared_ptr<const std::string> text_;  // shared by all answers that are under way
  std::string etag_;
};

}  // namespace tidemill
