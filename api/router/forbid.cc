#include "api/context.h"
#include "api/router/router.h"

namespace tidemill {

http::Response forbid(ApiContext& context, std::string_view scope) {
  ++context.forbidden;
  return forbidden(scope);
}

}  // namespace tidemill
