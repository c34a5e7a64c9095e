#pragma once

#include <string>

namespace tidemill {

// On whose behalf a request is served. Immutable; lives as long as somebody holds it. Without keys everybody is the
// `default` tenant's and may do everything.
struct Principal {
  std::string tenant = "default";  // whose streams and views there are for it; nothing in a URL or body names another
};

}  // namespace tidemill
