#include "api/context.h"
#include "api/router/router.h"

namespace tidemill {

AuditRequest audit_request(const Call& call) {
  // Where an id is to be, what is none may be the secret of a key.
  const bool by_id = call.route.path.find("{id}") != std::string_view::npos;
  const std::string_view name =
      by_id && !parse_key_id(call.params[0]) ? std::string_view("(not an id)") : call.params[0];
  return {call.key, call.who->tenant, call.route.method, call.route.label, name, call.request.address};
}

http::Response forbid(ApiContext& context, const Call& call, std::string_view scope) {
  ++context.forbidden;
  if (context.audit) context.audit->denied(audit_request(call), denial_name(Denial::forbidden), scope);
  return forbidden(scope);
}

}  // namespace tidemill
