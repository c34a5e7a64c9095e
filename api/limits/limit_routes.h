#pragma once

#include "api/context.h"
#include "api/router/router.h"
#include "engine/keys/keys.h"
#include "engine/limits/limiter.h"

namespace tidemill {

// Limits are shown, set and removed: a key's by who could make that key, a tenant's by `instance:admin` only,
// so that no tenant lifts its own. Each key may see what applies to it and what is left.
class LimitRoutes {
 public:
  // `keys` may be nullptr: then there are none to limit. The limiter is the context's.
  LimitRoutes(ApiContext& context, Keys* keys) : context_(context), keys_(keys) {}
  void mine(Call& call, http::Responder responder);
  void list_keys(Call& call, http::Responder responder);
  void get_key(Call& call, http::Responder responder);
  void put_key(Call& call, http::Responder responder);
  void remove_key(Call& call, http::Responder responder);
  void list_tenants(Call& call, http::Responder responder);
  void get_tenant(Call& call, http::Responder responder);
  void put_tenant(Call& call, http::Responder responder);
  void remove_tenant(Call& call, http::Responder responder);

 private:
  enum class For { show, change };
  // Whose they are, as the path names it and where the one who asks may know of it; nullopt: has answered.
  std::optional<LimitOwner> key_of(const Call& call, http::Responder& responder, For what, std::string* tenant) const;
  std::optional<LimitOwner> tenant_of(const Call& call, http::Responder& responder) const;
  bool refuse(http::Responder& responder) const;  // true: has answered
  void put(const LimitOwner& owner, const std::string& tenant, Call& call, http::Responder responder);
  void remove(const LimitOwner& owner, Call& call, http::Responder responder);

  ApiContext& context_;
  Keys* const keys_;
};

}  // namespace tidemill
