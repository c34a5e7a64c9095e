#pragma once

#include <cstdint>

namespace tidemill {

// Tests that cut the power at every single step take each of them in the program that users run. Under a sanitizer,
// which takes ten times as long and asks another question (is memory used as it may be?), they take one in kStride:
// an odd number, so that whatever alternates with the step is met either way.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr std::uint64_t kStride = 5;
#else
inline constexpr std::uint64_t kStride = 1;
#endif

}  // namespace tidemill
