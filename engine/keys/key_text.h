#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage/seam/random.h"

namespace tidemill {

// What names a key in public: 64 random bits, 13 characters of Crockford's base 32.
struct KeyId {
  std::uint64_t value = 0;
  auto operator<=>(const KeyId&) const = default;
};
std::string to_text(KeyId id);
std::optional<KeyId> parse_key_id(std::string_view text);

// A secret on its way to the one who is shown it. Gone from memory when it goes. Moves only.
class SecretText {
 public:
  SecretText() = default;
  explicit SecretText(std::string_view text) : text_(text) {}
  SecretText(SecretText&& other) noexcept { *this = std::move(other); }
  SecretText& operator=(SecretText&& other) noexcept;
  ~SecretText() { clear(); }
  std::string_view view() const { return text_; }
  std::string& raw() { return text_; }  // must have its capacity before the secret is put in

 private:
  void clear();
  std::string text_;
};
void wipe(std::string& text);  // its bytes, also those behind its end

// A key of kind `api`, 53 characters: `tm_` id `_` secret checksum. The secret is 160 random bits (32 characters); the
// checksum, 4 characters of CRC-32 over all before it, tells a mistyped key from a wrong one and a key from any other
// text: secret scanners can find it.
inline constexpr std::string_view kKeyPrefix = "tm_";
// SHA-256 of the whole text. Compared by same_hash() alone: how long == takes would tell where two differ.
struct KeyHash : std::array<std::uint64_t, 4> {
  bool operator==(const KeyHash&) const = delete;
  auto operator<=>(const KeyHash&) const = delete;
};

SecretText make_key_text(KeyId id, Random& random);
std::optional<KeyId> key_id_of(std::string_view text);  // nullopt: no key looks like that
// With what looks like the secret of a key of kind `api`, mistyped or cut off or not, replaced by `***`: for text that
// somebody else has named things by, and that is kept.
std::string without_secrets(std::string_view text);
KeyHash hash_of_key(std::string_view text);
std::string hex_of(const KeyHash& hash);  // 64 lower-case hexadecimal digits
std::optional<KeyHash> parse_hash(std::string_view hex);
bool same_hash(const KeyHash& a, const KeyHash& b);  // takes as long wherever they differ

// Of kind `aws`, 20 characters: `TMAK` and 16 of base 32, upper case; the secret has 40, of 200 random bits.
std::string access_key_of(KeyId id);
std::optional<KeyId> parse_access_key(std::string_view text);
SecretText make_aws_secret(Random& random);

}  // namespace tidemill
