#pragma once

#include <cstdint>

namespace tidemill::views {

// The patterns of LIKE and GLOB as SQLite 3.40 understands them, byte for byte, but with an end to the work: a pattern
// is tried at many places of a text, and SQLite cannot be stopped in between.
enum class Patterns { like, glob };
struct PatternResult {
  bool matches = false;
  bool too_long = false;    // the work was given up
  std::uint64_t steps = 0;  // bytes that were looked at
};
// Both texts end with a zero byte. `escape`: the character of ESCAPE, 0 for none; only of LIKE.
PatternResult match_pattern(Patterns kind, const unsigned char* pattern, const unsigned char* text,
                            std::uint32_t escape, std::uint64_t steps_max);

// The next character as SQLite reads UTF-8, also where it is none; 0 at the end, which is passed, too.
std::uint32_t read_character(const unsigned char*& at);

}  // namespace tidemill::views
