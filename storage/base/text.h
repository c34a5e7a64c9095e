#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage/base/ids.h"

namespace tidemill {

// Two lower-case digits for each byte, and back; nullopt: not what to_hex() writes.
std::string to_hex(std::string_view bytes);
std::optional<std::string> from_hex(std::string_view text);
// A number with as many digits as asked for; what does not fit is left out in front.
std::string to_hex(std::uint64_t number, std::size_t digits = 16);
std::string to_hex(HashKey key);

// For "did you mean": how many bytes to change, leave out or put in. For short names.
std::size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace tidemill
