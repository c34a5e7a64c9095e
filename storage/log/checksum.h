#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tidemill {

// XXH3, 64 bits. The seed is the salt of the segment that the bytes lie in, so that bytes of another life of the same
// disk blocks never look valid.
std::uint64_t checksum(std::span<const std::byte> bytes, std::uint64_t seed);

}  // namespace tidemill
