#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace tidemill {

// Field-by-field encoding, little-endian, for the formats of storage/log. No struct is ever copied to disk.
static_assert(std::endian::native == std::endian::little, "the codecs copy integers as they are");

inline constexpr std::size_t kVarintBytesMax = 10;

// Writes into memory that the caller made large enough.
class ByteWriter {
 public:
  explicit ByteWriter(std::byte* at) : at_(at) {}
  void u8(std::uint8_t v) { *at_++ = static_cast<std::byte>(v); }
  void u16(std::uint16_t v) { number(v); }
  void u32(std::uint32_t v) { number(v); }
  void u64(std::uint64_t v) { number(v); }
  void i64(std::int64_t v) { number(v); }
  void varint(std::uint64_t v) {
    for (; v >= 0x80; v >>= 7) u8(static_cast<std::uint8_t>(v | 0x80));
    u8(static_cast<std::uint8_t>(v));
  }
  void zigzag(std::int64_t v) { varint((static_cast<std::uint64_t>(v) << 1) ^ static_cast<std::uint64_t>(v >> 63)); }
  void bytes(const void* from, std::size_t n) {
    if (n != 0) std::memcpy(at_, from, n);
    at_ += n;
  }
  void text(std::string_view v) { bytes(v.data(), v.size()); }
  void zeros(std::size_t n) {
    std::memset(at_, 0, n);
    at_ += n;
  }
  std::byte* at() const { return at_; }

 private:
  template <class T>
  void number(T v) {
    std::memcpy(at_, &v, sizeof v);
    at_ += sizeof v;
  }
  std::byte* at_;
};

// Reads from bytes that nobody vouches for: past the end it yields zeros and says so in ok().
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : at_(bytes.data()), end_(at_ + bytes.size()) {}
  bool ok() const { return ok_; }
  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
  std::uint8_t u8() { return number<std::uint8_t>(); }
  std::uint16_t u16() { return number<std::uint16_t>(); }
  std::uint32_t u32() { return number<std::uint32_t>(); }
  std::uint64_t u64() { return number<std::uint64_t>(); }
  std::int64_t i64() { return number<std::int64_t>(); }
  std::uint64_t varint() {
    std::uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const std::uint8_t b = u8();
      v |= static_cast<std::uint64_t>(b & 0x7f) << shift;
      if ((b & 0x80) == 0) return v;
    }
    ok_ = false;
    return 0;
  }
  std::int64_t zigzag() {
    const std::uint64_t v = varint();
    return static_cast<std::int64_t>(v >> 1) ^ -static_cast<std::int64_t>(v & 1);
  }
  std::span<const std::byte> bytes(std::uint64_t n) {
    if (n > left()) {
      ok_ = false;
      return {};
    }
    const std::span<const std::byte> out(at_, static_cast<std::size_t>(n));
    at_ += n;
    return out;
  }
  std::string_view text(std::uint64_t n) {
    const auto b = bytes(n);
    return {reinterpret_cast<const char*>(b.data()), b.size()};
  }
  void skip(std::uint64_t n) { bytes(n); }

 private:
  template <class T>
  T number() {
    T v = 0;
    if (sizeof v > left()) {
      ok_ = false;
      at_ = end_;
      return v;
    }
    std::memcpy(&v, at_, sizeof v);
    at_ += sizeof v;
    return v;
  }
  const std::byte* at_;
  const std::byte* end_;
  bool ok_ = true;
};

}  // namespace tidemill
