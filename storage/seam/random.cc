#include "storage/seam/random.h"

#include <sys/random.h>

#include <cerrno>

#include "storage/base/check.h"

namespace tidemill {
namespace {

class SystemRandom final : public Random {
 public:
  std::uint64_t next() override {
    std::uint64_t value = 0;
    ssize_t n = 0;
    do {
      n = ::getrandom(&value, sizeof value, 0);
    } while (n < 0 && errno == EINTR);  // only before the kernel's pool is first filled
    CHECK(n == static_cast<ssize_t>(sizeof value));
    return value;
  }
};

}  // namespace

Random& system_random() {
  static SystemRandom random;
  return random;
}

}  // namespace tidemill
