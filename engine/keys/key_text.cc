// SHA-256 through OpenSSL's old entry points, for the reason that hash_key.cc gives: this is done for every request.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "engine/keys/key_text.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <span>

#include "storage/base/check.h"
#include "storage/base/text.h"

namespace tidemill {
namespace {

// Crockford's: without i, l, o and u, which are misread or spell words.
constexpr std::string_view kDigits = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr std::size_t kIdDigits = 13;
constexpr std::size_t kSecretDigits = 32;  // 160 bits
constexpr std::size_t kCheckDigits = 4;
constexpr std::size_t kTextSize = kKeyPrefix.size() + kIdDigits + 1 + kSecretDigits + kCheckDigits;
constexpr std::string_view kAccessPrefix = "TMAK";
constexpr std::size_t kAccessCheckDigits = 3;
constexpr std::size_t kAwsSecretDigits = 40;

constexpr std::array<std::int8_t, 256> values() {
  std::array<std::int8_t, 256> v{};
  v.fill(-1);
  for (std::size_t i = 0; i < kDigits.size(); ++i)
    v[static_cast<unsigned char>(kDigits[i])] = static_cast<std::int8_t>(i);
  return v;
}
constexpr auto kValues = values();

constexpr std::array<std::uint32_t, 256> crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int k = 0; k < 8; ++k) c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
    table[i] = c;
  }
  return table;
}
constexpr auto kCrc = crc_table();

std::uint32_t crc(std::string_view text) {
  std::uint32_t c = ~0u;
  for (const unsigned char byte : text) c = kCrc[(c ^ byte) & 0xff] ^ (c >> 8);
  return ~c;
}

void append_digits(std::string& out, std::uint64_t value, std::size_t digits) {
  for (std::size_t i = digits; i-- > 0;) out.push_back(kDigits[i * 5 < 64 ? value >> (i * 5) & 31 : 0]);
}

bool has_check(std::string_view text, std::size_t digits) {
  const std::string_view check = text.substr(text.size() - digits);
  const std::uint32_t wanted = crc(text.substr(0, text.size() - digits));
  for (std::size_t i = 0; i < digits; ++i)
    if (check[i] != kDigits[wanted >> (digits - 1 - i) * 5 & 31]) return false;
  return true;
}

void append_random(std::string& out, std::size_t digits, Random& random) {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (i % 12 == 0) bits = random.next();  // 60 of its 64 bits
    out.push_back(kDigits[bits & 31]);
    bits >>= 5;
  }
  OPENSSL_cleanse(&bits, sizeof bits);
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

}  // namespace

std::string to_text(KeyId id) {
  std::string out;
  append_digits(out, id.value, kIdDigits);
  return out;
}

std::optional<KeyId> parse_key_id(std::string_view text) {
  if (text.size() != kIdDigits || kValues[static_cast<unsigned char>(text[0])] > 15) return std::nullopt;
  KeyId id;
  for (const unsigned char c : text) {
    if (kValues[c] < 0) return std::nullopt;
    id.value = id.value << 5 | static_cast<std::uint64_t>(kValues[c]);
  }
  return id;
}

SecretText& SecretText::operator=(SecretText&& other) noexcept {
  if (this == &other) return *this;
  clear();
  text_ = other.text_;  // copied, for a short string that is moved stays where it was
  other.clear();
  return *this;
}

void SecretText::clear() {
  wipe(text_);
  text_.clear();
}

void wipe(std::string& text) {
  text.resize(text.capacity());
  OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

SecretText make_key_text(KeyId id, Random& random) {
  SecretText secret;
  std::string& out = secret.raw();
  out.reserve(kTextSize);
  out.append(kKeyPrefix).append(to_text(id)).append("_");
  append_random(out, kSecretDigits, random);
  append_digits(out, crc(out), kCheckDigits);
  CHECK(out.size() == kTextSize);
  return secret;
}

std::optional<KeyId> key_id_of(std::string_view text) {
  if (text.size() != kTextSize || !text.starts_with(kKeyPrefix) || text[kKeyPrefix.size() + kIdDigits] != '_')
    return std::nullopt;
  for (const unsigned char c : text.substr(kKeyPrefix.size() + kIdDigits + 1))
    if (kValues[c] < 0) return std::nullopt;
  if (!has_check(text, kCheckDigits)) return std::nullopt;
  return parse_key_id(text.substr(kKeyPrefix.size(), kIdDigits));
}

std::string without_secrets(std::string_view text) {
  std::string out(text);
  for (std::size_t at = 0; (at = out.find(kKeyPrefix, at)) != std::string::npos;) {
    at += kKeyPrefix.size();
    const std::size_t bar = at + kIdDigits;
    if (bar >= out.size() || out[bar] != '_' || !parse_key_id(lower(out.substr(at, kIdDigits)))) continue;
    const auto ends = [](unsigned char c) { return std::isalnum(c) == 0; };
    const auto end = std::find_if(out.begin() + static_cast<std::ptrdiff_t>(bar) + 1, out.end(), ends);
    out.replace(out.begin() + static_cast<std::ptrdiff_t>(bar) + 1, end, "***");
  }
  return out;
}

KeyHash hash_of_key(std::string_view text) {
  SHA256_CTX context;
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256_Init(&context);
  SHA256_Update(&context, text.data(), text.size());
  SHA256_Final(digest.data(), &context);
  OPENSSL_cleanse(&context, sizeof context);
  KeyHash hash;
  static_assert(sizeof hash == sizeof digest);
  std::memcpy(hash.data(), digest.data(), digest.size());
  return hash;
}

std::string hex_of(const KeyHash& hash) {
  return to_hex(std::string_view(reinterpret_cast<const char*>(hash.data()), sizeof hash));
}

std::optional<KeyHash> parse_hash(std::string_view hex) {
  const auto bytes = from_hex(hex);
  if (!bytes || bytes->size() != sizeof(KeyHash)) return std::nullopt;
  KeyHash hash;
  std::memcpy(hash.data(), bytes->data(), sizeof hash);
  return hash;
}

bool same_hash(const KeyHash& a, const KeyHash& b) {
  return CRYPTO_memcmp(a.data(), b.data(), sizeof a) == 0;
}

std::string access_key_of(KeyId id) {
  std::string digits = to_text(id);
  append_digits(digits, crc(digits), kAccessCheckDigits);
  for (char& c : digits)
    if (c >= 'a') c = static_cast<char>(c - 32);
  return std::string(kAccessPrefix) + digits;
}

std::optional<KeyId> parse_access_key(std::string_view text) {
  if (text.size() != kAccessPrefix.size() + kIdDigits + kAccessCheckDigits || !text.starts_with(kAccessPrefix))
    return std::nullopt;
  const std::string digits = lower(text.substr(kAccessPrefix.size()));
  if (!has_check(digits, kAccessCheckDigits)) return std::nullopt;
  return parse_key_id(std::string_view(digits).substr(0, kIdDigits));
}

SecretText make_aws_secret(Random& random) {
  SecretText secret;
  secret.raw().reserve(kAwsSecretDigits);
  append_random(secret.raw(), kAwsSecretDigits, random);
  return secret;
}

}  // namespace tidemill
