#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tidemill {

struct Utf8Character {
  std::uint32_t code = 0;
  std::size_t bytes = 1;  // of the text; 1 where it is none
  bool valid = false;     // no overlong form, half of a pair, or above U+10FFFF
};
// At a place within the text. Pure.
Utf8Character utf8_character(std::string_view text, std::size_t at);

// Controls, line and paragraph separators, format characters that turn the direction of text or are not seen, and
// fillers: they make two names look like one, or one like another. Not the selectors and marks that letters need.
bool is_unseen(std::uint32_t code);
// The first such character of a text, or U+FFFD where the text is no UTF-8; nullopt: all of it is seen.
std::optional<std::uint32_t> first_unseen(std::string_view text);

}  // namespace tidemill
