#include "consumers/views/pattern.h"

#include <cstring>

namespace tidemill::views {
namespace {

std::uint32_t lower(std::uint32_t c) {
  return c >= 'A' && c <= 'Z' ? c + 32 : c;
}
std::uint32_t upper(std::uint32_t c) {
  return c >= 'a' && c <= 'z' ? c - 32 : c;
}

class Matcher {
 public:
  enum class End { matches, differs, text_is_over, too_long };
  Matcher(Patterns kind, std::uint32_t escape, std::uint64_t steps_max)
      : glob_(kind == Patterns::glob), most_(steps_max) {
    all_ = glob_ ? '*' : '%';
    one_ = glob_ ? '?' : '_';
    other_ = glob_ ? '[' : escape;
    if (!glob_ && escape != 0) {
      if (escape == all_) all_ = 0;
      if (escape == one_) one_ = 0;
    }
  }
  std::uint64_t steps() const { return steps_; }

  End run(const unsigned char* pattern, const unsigned char* text) {
    const unsigned char* escaped = nullptr;
    std::uint32_t c = 0;
    while ((c = read(pattern)) != 0) {
      if (steps_ > most_) return End::too_long;
      if (c == all_) return after_all(pattern, text);
      if (c == other_) {
        if (glob_) {
          if (!in_set(pattern, text)) return End::differs;
          continue;
        }
        if ((c = read(pattern)) == 0) return End::differs;
        escaped = pattern;
      }
      const std::uint32_t d = read(text);
      if (c == d) continue;
      if (!glob_ && c < 0x80 && d < 0x80 && lower(c) == lower(d)) continue;
      if (c == one_ && pattern != escaped && d != 0) continue;
      return End::differs;
    }
    return *text == 0 ? End::matches : End::differs;
  }

 private:
  std::uint32_t read(const unsigned char*& at) {
    const unsigned char* const from = at;
    const std::uint32_t c = read_character(at);
    steps_ += static_cast<std::uint64_t>(at - from);
    return c;
  }

  // Behind % or *: the rest is tried at each place where its first character stands.
  End after_all(const unsigned char* pattern, const unsigned char* text) {
    std::uint32_t c = 0;
    while ((c = read(pattern)) == all_ || (c == one_ && one_ != 0)) {
      if (c == one_ && read(text) == 0) return End::text_is_over;
      if (steps_ > most_) return End::too_long;
    }
    if (c == 0) return End::matches;
    if (c == other_) {
      if (glob_) {
        while (*text != 0) {
          if (const End end = run(pattern - 1, text); end != End::differs) return end;
          skip(text);
          if (steps_ > most_) return End::too_long;
        }
        return End::text_is_over;
      }
      if ((c = read(pattern)) == 0) return End::text_is_over;
    }
    if (c < 0x80) {
      const char stop[3] = {static_cast<char>(glob_ ? c : upper(c)), static_cast<char>(glob_ ? 0 : lower(c)), 0};
      for (;;) {
        const std::size_t passed = std::strcspn(reinterpret_cast<const char*>(text), stop);
        text += passed;
        steps_ += passed + 1;
        if (steps_ > most_) return End::too_long;
        if (*text == 0) return End::text_is_over;
        ++text;
        if (const End end = run(pattern, text); end != End::differs) return end;
      }
    }
    std::uint32_t d = 0;
    while ((d = read(text)) != 0) {
      if (steps_ > most_) return End::too_long;
      if (d != c) continue;
      if (const End end = run(pattern, text); end != End::differs) return end;
    }
    return End::text_is_over;
  }

  // The next character of the text, in the set that has been opened.
  bool in_set(const unsigned char*& pattern, const unsigned char*& text) {
    const std::uint32_t c = read(text);
    if (c == 0) return false;
    std::uint32_t before = 0;
    bool seen = false;
    bool inverted = false;
    std::uint32_t d = read(pattern);
    if (d == '^') {
      inverted = true;
      d = read(pattern);
    }
    if (d == ']') {
      seen = c == ']';
      d = read(pattern);
    }
    while (d != 0 && d != ']') {
      if (d == '-' && *pattern != ']' && *pattern != 0 && before > 0) {
        d = read(pattern);
        seen = seen || (c >= before && c <= d);
        before = 0;
      } else {
        seen = seen || c == d;
        before = d;
      }
      d = read(pattern);
    }
    return d != 0 && seen != inverted;
  }

  void skip(const unsigned char*& at) {
    const unsigned char* const from = at;
    if (*at++ >= 0xc0)
      while ((*at & 0xc0) == 0x80) ++at;
    steps_ += static_cast<std::uint64_t>(at - from);
  }

  const bool glob_;
  const std::uint64_t most_;
  std::uint32_t all_ = 0, one_ = 0, other_ = 0;
  std::uint64_t steps_ = 0;
};

}  // namespace

std::uint32_t read_character(const unsigned char*& at) {
  std::uint32_t c = *at++;
  if (c < 0xc0) return c;
  // How many bits of a first byte count. SQLite's table, which also takes what is no UTF-8.
  c = c < 0xe0 ? c & 0x1f : c < 0xf0 ? c & 0x0f : c < 0xf8 ? c & 0x07 : c < 0xfc ? c & 0x03 : c < 0xfe ? c & 0x01 : 0;
  while ((*at & 0xc0) == 0x80) c = (c << 6) + (0x3f & *at++);
  if (c < 0x80 || (c & 0xfffff800) == 0xd800 || (c & 0xfffffffe) == 0xfffe) return 0xfffd;
  return c;
}

PatternResult match_pattern(Patterns kind, const unsigned char* pattern, const unsigned char* text,
                            std::uint32_t escape, std::uint64_t steps_max) {
  Matcher matcher(kind, escape, steps_max);
  const auto end = matcher.run(pattern, text);
  return {end == Matcher::End::matches, end == Matcher::End::too_long, matcher.steps()};
}

}  // namespace tidemill::views
