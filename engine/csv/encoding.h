#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tidemill::csv {

enum class Encoding {
  utf8,
  windows_1252,  // as browsers read it: ISO-8859-1 too, and the five bytes without a meaning are C1 controls
};

// "utf-8", "windows-1252", and the names people use for them (utf8, latin1, iso-8859-1, cp1252), in any case.
std::optional<Encoding> parse_encoding(std::string_view name);
std::string_view name(Encoding encoding);

// Finds out whether bytes that come in pieces are UTF-8. What is not is taken for windows-1252: any bytes are.
class EncodingDetector {
 public:
  void add(std::string_view bytes);
  // The input ends here. nullopt: it begins with the byte-order mark of UTF-16 or UTF-32, or holds zero bytes; such a
  // file has to be converted first.
  std::optional<Encoding> result() const;

 private:
  std::string pending_;  // the beginning of a character that the last piece cut
  std::string head_;     // the first bytes, for the marks
  bool utf8_ = true;
  bool zeros_ = false;
};

// The length of the valid UTF-8 at the front of `bytes`. (No surrogates, no overlong forms, nothing above U+10FFFF.)
std::size_t valid_utf8_prefix(std::string_view bytes);

// Appends `bytes` as UTF-8. False: they are not valid in their encoding, and `out` holds the part before.
bool append_utf8(std::string_view bytes, Encoding encoding, std::string& out);

// The windows-1252 byte (0x80 to 0xFF) as UTF-8; returns how many bytes were written, 2 or 3.
int windows_1252_to_utf8(unsigned char byte, char* out);

}  // namespace tidemill::csv
