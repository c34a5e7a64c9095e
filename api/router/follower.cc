#include "api/router/follower.h"

#include "api/context.h"
#include "api/router/router.h"

namespace tidemill {

Follower::Follower(const Call& call)
    : pass_(call.pass),
      key_(call.key),
      tenant_(call.who->tenant),
      name_(call.params[0]),
      address_(call.request.address),
      method_(call.route.method),
      route_(call.route.label) {}

std::string_view Follower::over(ApiContext& context) const {
  const auto over = pass_.over();
  if (!over) return {};
  ++context.ended[static_cast<std::size_t>(over->why)];
  if (context.audit) context.audit->ended({key_, tenant_, method_, route_, name_, address_}, ended_name(over->why));
  return over->text;
}

}  // namespace tidemill
