#pragma once

#include <fuzzer/FuzzedDataProvider.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/check.h"
#include "storage/log/checksum.h"

// What the fuzzed decoders' programs share. A property that does not hold is a CHECK: libFuzzer keeps the input.

namespace tidemill {

inline std::span<const std::byte> bytes_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}
inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

template <class T>
T number_at(std::span<const std::byte> bytes, std::size_t at) {
  T value{};
  if (at + sizeof value <= bytes.size()) std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

// Puts the right checksum before bytes, so that what lies behind that check is met too.
inline void seal(std::span<std::byte> bytes, std::uint64_t seed) {
  if (bytes.size() < 8) return;
  const std::uint64_t sum = checksum(bytes.subspan(8), seed);
  std::memcpy(bytes.data(), &sum, sizeof sum);
}

// A commit's lanes and header, as far as they lie within `bytes`.
void seal_commit(std::span<std::byte> bytes, std::uint64_t salt);

}  // namespace tidemill
