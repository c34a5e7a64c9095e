#include "storage/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace tidemill {

void check_failed(const char* expression, const char* file, int line) noexcept {
  std::fprintf(stderr, "tidemill: broken invariant: %s (%s:%d)\n", expression, file, line);
  std::abort();
}

}  // namespace tidemill
