#pragma once

#include "api/context.h"
#include "api/router/router.h"
#include "engine/keys/keys.h"

namespace tidemill {

// Whether it may do to the key what shuts its holder out or lets others in: only who could give all its scopes.
bool may_give_all(const Principal& who, const KeyRecord& key);

// Keys are made, listed, rotated and revoked, and certificates bound to them. Of another tenant's keys only who has
// `instance:admin` knows. A secret stands in the one answer that made it and nowhere else.
class KeyRoutes {
 public:
  // `keys` may be nullptr: then there are none to be made.
  KeyRoutes(ApiContext& context, Keys* keys) : context_(context), keys_(keys) {}
  void create(Call& call, http::Responder responder);
  void list(Call& call, http::Responder responder);
  void get(Call& call, http::Responder responder);
  void rotate(Call& call, http::Responder responder);
  void revoke(Call& call, http::Responder responder);
  void bind(Call& call, http::Responder responder);
  void unbind(Call& call, http::Responder responder);

 private:
  // The key that the path names, where the one who asks may know of it.
  std::optional<KeyRecord> named(const Call& call) const;
  bool refuse(http::Responder& responder) const;  // true: has answered

  ApiContext& context_;
  Keys* const keys_;
};

}  // namespace tidemill
