#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace tidemill {

// LZ4 blocks (no frame): lanes bring their own lengths and checksums. One compressor per writer; it keeps LZ4's table
// so that a commit costs no allocation.
class Compressor {
 public:
  Compressor();
  ~Compressor();
  static std::size_t bytes_max(std::size_t raw);  // room that `into` needs to be sure of success
  // Bytes written, 0 when they do not fit.
  std::size_t compress(std::span<const std::byte> raw, std::span<std::byte> into);

 private:
  std::unique_ptr<std::byte[]> state_;
};

// False unless exactly into.size() bytes came out. Safe with any input.
bool decompress(std::span<const std::byte> stored, std::span<std::byte> into);

}  // namespace tidemill
