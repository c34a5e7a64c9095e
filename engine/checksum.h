#pragma once

#include <cstdint>
#include <string_view>

namespace tidemill {

// 32 bits over a few dozen bytes, against typing errors, cut-off copies and rot: FNV-1a of 64 bits, folded. For tokens
// and DATA/TIDEMILL; logs have better ones of their own.
inline std::uint32_t small_checksum(std::string_view bytes) {
  std::uint64_t h = 0xCBF29CE484222325;
  for (const char c : bytes) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return static_cast<std::uint32_t>(h ^ h >> 32);
}

}  // namespace tidemill
