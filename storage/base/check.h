#pragma once

namespace tidemill {
[[noreturn]] void check_failed(const char* expression, const char* file, int line) noexcept;
}  // namespace tidemill

// An invariant of our own code. Stops the process, in release too: going on would put wrong bytes where nobody
// looks for them. Never for what comes from outside (disk, peer, input): that is a Result.
#define CHECK(expr) \
  (static_cast<bool>(expr) ? static_cast<void>(0) : ::tidemill::check_failed(#expr, __FILE__, __LINE__))
