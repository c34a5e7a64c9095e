#include "storage/log/compression.h"

#include <lz4.h>

#include <limits>

namespace tidemill {

Compressor::Compressor() : state_(new std::byte[static_cast<std::size_t>(LZ4_sizeofState())]) {}
Compressor::~Compressor() = default;

std::size_t Compressor::bytes_max(std::size_t raw) {
  return raw > LZ4_MAX_INPUT_SIZE ? 0 : static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(raw)));
}

std::size_t Compressor::compress(std::span<const std::byte> raw, std::span<std::byte> into) {
  if (raw.size() > LZ4_MAX_INPUT_SIZE || into.size() > std::numeric_limits<int>::max()) return 0;
  const int n = LZ4_compress_fast_extState(state_.get(), reinterpret_cast<const char*>(raw.data()),
                                           reinterpret_cast<char*>(into.data()), static_cast<int>(raw.size()),
                                           static_cast<int>(into.size()), 1);
  return n > 0 ? static_cast<std::size_t>(n) : 0;
}

bool decompress(std::span<const std::byte> stored, std::span<std::byte> into) {
  if (stored.size() > LZ4_MAX_INPUT_SIZE || into.size() > LZ4_MAX_INPUT_SIZE) return false;
  const int n = LZ4_decompress_safe(reinterpret_cast<const char*>(stored.data()), reinterpret_cast<char*>(into.data()),
                                    static_cast<int>(stored.size()), static_cast<int>(into.size()));
  return n >= 0 && static_cast<std::size_t>(n) == into.size();
}

}  // namespace tidemill
