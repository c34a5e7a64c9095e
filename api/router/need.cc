#include "api/router/need.h"

namespace tidemill {

std::string Need::text(std::string_view param) const {
  if (kind_ == Kind::nothing) return "none";
  if (kind_ == Kind::some_key) return "any key";
  if (kind_ == Kind::either) return "server:admin or instance:read";
  if (action_ != Action::see) return scope_text(thing_, action_, of(param));
  return std::string(thing_ == Thing::view ? "any scope of the view " : "any scope of the stream ") +
         std::string(of(param)) + ", or server:read";
}

}  // namespace tidemill
