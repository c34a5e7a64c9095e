#pragma once

#include "api/context.h"
#include "api/router/router.h"
#include "engine/audit/audit_list.h"
#include "engine/keys/keys.h"

namespace tidemill {

// Who came, who was turned away, who changed what: events of the audit trail and of the system stream, as JSON. Who has
// `instance:read` sees all; who administers a tenant, what is its own. And the heads of both logs' hash chains.
class AuditRoutes {
 public:
  // `keys` may be nullptr.
  AuditRoutes(ApiContext& context, Keys* keys);
  void list(Call& call, http::Responder responder);
  void head(Call& call, http::Responder responder);

 private:
  ApiContext& context_;
  AuditList list_;
};

}  // namespace tidemill
