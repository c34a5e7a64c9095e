#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "engine/checksum.h"
#include "engine/position.h"

namespace tidemill {
namespace {

// version 1, stream 8, incarnation 8, epoch 4, sequence 8, checksum 4: 33 bytes, 44 characters without padding.
constexpr std::size_t kTokenBytes = 33;
constexpr std::uint8_t kVersion = 1;
constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

using Bytes = std::array<std::uint8_t, kTokenBytes>;

template <class T>
void put(Bytes& bytes, std::size_t& at, T value) {
  static_assert(std::endian::native == std::endian::little);
  std::memcpy(bytes.data() + at, &value, sizeof(T));
  at += sizeof(T);
}

// Two characters for each 12 bits: a token is made for every answer.
constexpr auto kPairs = [] {
  std::array<std::array<char, 2>, 4'096> pairs{};
  for (std::size_t i = 0; i < pairs.size(); ++i) pairs[i] = {kAlphabet[i >> 6], kAlphabet[i & 63]};
  return pairs;
}();

template <class T>
T get(const Bytes& bytes, std::size_t& at) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) value |= static_cast<T>(T{bytes[at++]} << (8 * i));
  return value;
}

std::uint32_t checksum(const Bytes& bytes) {
  return small_checksum({reinterpret_cast<const char*>(bytes.data()), kTokenBytes - 4});
}

int value_of(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '-') return 62;
  if (c == '_') return 63;
  return -1;
}

}  // namespace

std::string Token::encode() const {
  Bytes bytes;
  std::size_t at = 0;
  put(bytes, at, kVersion);
  put(bytes, at, stream.value());
  put(bytes, at, incarnation.value());
  put(bytes, at, epoch.value());
  put(bytes, at, position.sequence().value());
  put(bytes, at, checksum(bytes));
  std::string text(kTokenBytes / 3 * 4, '\0');
  char* to = text.data();
  for (std::size_t i = 0; i < kTokenBytes; i += 3) {
    const std::uint32_t three =
        static_cast<std::uint32_t>(bytes[i]) << 16 | static_cast<std::uint32_t>(bytes[i + 1]) << 8 | bytes[i + 2];
    std::memcpy(to, kPairs[three >> 12].data(), 2);
    std::memcpy(to + 2, kPairs[three & 4'095].data(), 2);
    to += 4;
  }
  return text;
}

std::optional<Token> Token::decode(std::string_view text) {
  if (text.size() != kTokenBytes / 3 * 4) return std::nullopt;
  Bytes bytes;
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::uint32_t three = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      const int v = value_of(text[i + j]);
      if (v < 0) return std::nullopt;
      three = three << 6 | static_cast<std::uint32_t>(v);
    }
    for (std::size_t j = 0; j < 3; ++j) bytes[i / 4 * 3 + j] = static_cast<std::uint8_t>(three >> (16 - 8 * j));
  }
  std::size_t at = 0;
  if (get<std::uint8_t>(bytes, at) != kVersion) return std::nullopt;
  Token token;
  token.stream = StreamId(get<std::uint64_t>(bytes, at));
  token.incarnation = Incarnation(get<std::uint64_t>(bytes, at));
  token.epoch = Epoch(get<std::uint32_t>(bytes, at));
  token.position = Position::through(Sequence(get<std::uint64_t>(bytes, at)));
  if (get<std::uint32_t>(bytes, at) != checksum(bytes)) return std::nullopt;
  return token;
}

}  // namespace tidemill
