#include "api/context.h"
#include "api/router/router.h"

namespace tidemill {

AuditRequest audit_request(const Call& call) {
  return {call.key, call.who->tenant, call.route.method, call.route.label, call.params[0], call.request.address};
}

http::Response forbid(ApiContext& context, const Call& call, std::string_view scope) {
  ++context.forbidden;
  if (context.audit) context.audit->denied(audit_request(call), denial_name(Denial::forbidden), scope);
  return forbidden(scope);
}

}  // namespace tidemill
