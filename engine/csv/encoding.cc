#include "engine/csv/encoding.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace tidemill::csv {
namespace {

// 0x80 to 0x9F; from 0xA0 on a byte is its own code point. (WHATWG Encoding, index windows-1252.)
constexpr std::array<std::uint16_t, 32> kWindows1252 = {0x20AC, 0x0081, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
                                                        0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x008D, 0x017D, 0x008F,
                                                        0x0090, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                                        0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x009D, 0x017E, 0x0178};

// Length of the character that begins with `lead`, and the least and greatest second byte; 0: cannot begin one.
struct Lead {
  int length;
  unsigned char second_min;
  unsigned char second_max;
};
constexpr Lead lead_of(unsigned char c) {
  if (c < 0x80) return {1, 0, 0};
  if (c < 0xC2) return {0, 0, 0};
  if (c < 0xE0) return {2, 0x80, 0xBF};
  if (c == 0xE0) return {3, 0xA0, 0xBF};
  if (c == 0xED) return {3, 0x80, 0x9F};
  if (c < 0xF0) return {3, 0x80, 0xBF};
  if (c == 0xF0) return {4, 0x90, 0xBF};
  if (c < 0xF4) return {4, 0x80, 0xBF};
  if (c == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

struct Scan {
  std::size_t valid;  // bytes of whole, valid characters
  bool cut;           // what follows may be the beginning of another
};

Scan scan_utf8(std::string_view s) {
  std::size_t i = 0;
  while (i < s.size()) {
    while (i + 8 <= s.size()) {  // eight ASCII bytes at a time
      std::uint64_t word;
      std::memcpy(&word, s.data() + i, 8);
      if (word & 0x8080808080808080ull) break;
      i += 8;
    }
    if (i == s.size()) break;
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(s[at]); };
    const Lead lead = lead_of(byte(i));
    if (lead.length == 0) return {i, false};
    for (int k = 1; k < lead.length; ++k) {
      if (i + k == s.size()) return {i, true};
      const unsigned char c = byte(i + k);
      if (k == 1 ? c < lead.second_min || c > lead.second_max : (c & 0xC0) != 0x80) return {i, false};
    }
    i += lead.length;
  }
  return {i, false};
}

}  // namespace

std::optional<Encoding> parse_encoding(std::string_view name) {
  std::string n(name);
  std::transform(n.begin(), n.end(), n.begin(), [](unsigned char c) { return c == '_' ? '-' : std::tolower(c); });
  if (n == "utf-8" || n == "utf8") return Encoding::utf8;
  if (n == "windows-1252" || n == "cp1252" || n == "latin1" || n == "latin-1" || n == "iso-8859-1")
    return Encoding::windows_1252;
  return std::nullopt;
}

std::string_view name(Encoding encoding) {
  return encoding == Encoding::utf8 ? "utf-8" : "windows-1252";
}

void EncodingDetector::add(std::string_view bytes) {
  if (head_.size() < 4) head_.append(bytes.substr(0, 4 - head_.size()));
  if (!zeros_ && !bytes.empty()) zeros_ = std::memchr(bytes.data(), 0, bytes.size()) != nullptr;
  if (!utf8_) return;
  while (!pending_.empty() && !bytes.empty()) {  // finish the character that was cut, a byte at a time
    pending_.push_back(bytes.front());
    bytes.remove_prefix(1);
    const Scan s = scan_utf8(pending_);
    if (s.valid == pending_.size()) {
      pending_.clear();
    } else if (!s.cut) {
      utf8_ = false;
      return;
    }
  }
  const Scan s = scan_utf8(bytes);
  if (s.valid == bytes.size()) return;
  if (s.cut) {
    pending_ = bytes.substr(s.valid);
  } else {
    utf8_ = false;
  }
}

std::optional<Encoding> EncodingDetector::result() const {
  if (zeros_ || head_.starts_with("\xFF\xFE") || head_.starts_with("\xFE\xFF")) return std::nullopt;
  return utf8_ && pending_.empty() ? Encoding::utf8 : Encoding::windows_1252;
}

std::size_t valid_utf8_prefix(std::string_view bytes) {
  return scan_utf8(bytes).valid;
}

int windows_1252_to_utf8(unsigned char byte, char* out) {
  const std::uint16_t code = byte < 0xA0 ? kWindows1252[byte - 0x80] : byte;
  if (code < 0x800) {
    out[0] = static_cast<char>(0xC0 | (code >> 6));
    out[1] = static_cast<char>(0x80 | (code & 0x3F));
    return 2;
  }
  out[0] = static_cast<char>(0xE0 | (code >> 12));
  out[1] = static_cast<char>(0x80 | ((code >> 6) & 0x3F));
  out[2] = static_cast<char>(0x80 | (code & 0x3F));
  return 3;
}

bool append_utf8(std::string_view bytes, Encoding encoding, std::string& out) {
  if (encoding == Encoding::utf8) {
    const std::size_t valid = valid_utf8_prefix(bytes);
    out.append(bytes.substr(0, valid));
    return valid == bytes.size();
  }
  for (const unsigned char c : bytes) {
    if (c < 0x80) {
      out.push_back(static_cast<char>(c));
    } else {
      char buffer[3];
      out.append(buffer, windows_1252_to_utf8(c, buffer));
    }
  }
  return true;
}

}  // namespace tidemill::csv
