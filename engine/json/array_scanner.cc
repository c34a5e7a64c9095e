#include "engine/json/array_scanner.h"

#include <bit>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace tidemill {
namespace {

// What is where in 64 bytes: bit i is byte i.
struct Masks {
  std::uint64_t quote = 0;
  std::uint64_t backslash = 0;
  std::uint64_t open = 0;   // { and [
  std::uint64_t close = 0;  // } and ]
};

#if defined(__SSE2__)
Masks masks_of(const char* block) {
  Masks m;
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i case_bit = _mm_set1_epi8(0x20);  // turns [ and ] into { and }
  const __m128i open = _mm_set1_epi8('{');
  const __m128i close = _mm_set1_epi8('}');
  const auto bits = [](__m128i a, __m128i b) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(a, b))));
  };
  for (int i = 0; i < 4; ++i) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 16 * i));
    const __m128i folded = _mm_or_si128(bytes, case_bit);
    m.quote |= bits(bytes, quote) << (16 * i);
    m.backslash |= bits(bytes, backslash) << (16 * i);
    m.open |= bits(folded, open) << (16 * i);
    m.close |= bits(folded, close) << (16 * i);
  }
  return m;
}
#else
Masks masks_of(const char* block) {
  Masks m;
  for (int i = 0; i < 64; ++i) {
    const std::uint64_t bit = std::uint64_t{1} << i;
    const char c = block[i];
    if (c == '"') m.quote |= bit;
    if (c == '\\') m.backslash |= bit;
    if (c == '{' || c == '[') m.open |= bit;
    if (c == '}' || c == ']') m.close |= bit;
  }
  return m;
}
#endif

// The bytes that a backslash before them escapes. `carry`: the first byte of the next block is one.
std::uint64_t escaped_bytes(std::uint64_t backslash, bool& carry) {
  if (backslash == 0) {
    const std::uint64_t first = carry ? 1 : 0;
    carry = false;
    return first;
  }
  // Within a run of backslashes every second one is escaped; adding carries each run's start over to its end.
  constexpr std::uint64_t kEven = 0x5555555555555555;
  backslash &= ~static_cast<std::uint64_t>(carry);
  const std::uint64_t follows = backslash << 1 | static_cast<std::uint64_t>(carry);
  const std::uint64_t odd_starts = backslash & ~kEven & ~follows;
  std::uint64_t sum = 0;
  carry = __builtin_add_overflow(odd_starts, backslash, &sum);
  return (kEven ^ (sum << 1)) & follows;
}

// Bit i: an odd number of bits at or below i.
std::uint64_t prefix_xor(std::uint64_t bits) {
  for (int shift = 1; shift < 64; shift *= 2) bits ^= bits << shift;
  return bits;
}

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

}  // namespace

void ArrayScanner::skip_space() {
  while (at_ != end_ && is_space(*at_)) ++at_;
}

ArrayScanner::Step ArrayScanner::next(std::string_view& element) {
  skip_space();
  if (at_ == end_) return Step::broken;
  if (first_ && *at_ == ']') {
    ++at_;
    skip_space();
    return at_ == end_ ? Step::end : Step::broken;
  }
  if (!first_) {
    // Behind an element: its comma, or the end.
    if (*at_ == ']') {
      ++at_;
      skip_space();
      return at_ == end_ ? Step::end : Step::broken;
    }
    ++at_;  // the comma: scan_to_comma() stopped here
    skip_space();
    if (at_ == end_) return Step::broken;
  }
  first_ = false;

  const char* const begin = at_;
  const char* stop = begin;
  if (*begin == '{' || *begin == '[') {
    stop = scan_container(begin);
    if (stop == nullptr) return Step::broken;
    at_ = stop;
    skip_space();
    if (at_ == end_ || *at_ == ',' || *at_ == ']') {
      element = {begin, static_cast<std::size_t>(stop - begin)};
      return Step::element;
    }
  }
  // A scalar, or something that does not belong here.
  stop = scan_to_comma(stop);
  if (stop == nullptr) return Step::broken;
  at_ = stop;
  while (stop != begin && is_space(stop[-1])) --stop;
  element = {begin, static_cast<std::size_t>(stop - begin)};
  return Step::element;
}

const char* ArrayScanner::scan_container(const char* from) const {
  std::uint64_t in_string = 0;  // all ones while the block before ended inside a string
  bool escape = false;
  std::int64_t depth = 0;
  char tail[64];
  for (const char* at = from; at < end_; at += 64) {
    const char* block = at;
    if (end_ - at < 64) {
      std::memset(tail, ' ', sizeof tail);
      std::memcpy(tail, at, static_cast<std::size_t>(end_ - at));
      block = tail;
    }
    const Masks m = masks_of(block);
    const std::uint64_t quotes = m.quote & ~escaped_bytes(m.backslash, escape);
    const std::uint64_t strings = prefix_xor(quotes) ^ in_string;
    in_string = static_cast<std::uint64_t>(static_cast<std::int64_t>(strings) >> 63);
    const std::uint64_t open = m.open & ~strings;
    std::uint64_t brackets = open | (m.close & ~strings);
    while (brackets != 0) {
      const int bit = std::countr_zero(brackets);
      depth += (open >> bit & 1) != 0 ? 1 : -1;
      if (depth == 0) return at + bit + 1;
      brackets &= brackets - 1;
    }
  }
  return nullptr;
}

const char* ArrayScanner::scan_to_comma(const char* from) const {
  std::int64_t depth = 0;
  bool string = false;
  for (const char* at = from; at < end_; ++at) {
    const char c = *at;
    if (string) {
      if (c == '\\')
        ++at;
      else if (c == '"')
        string = false;
      continue;
    }
    if (depth == 0 && (c == ',' || c == ']')) return at;
    if (c == '"') string = true;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    if (depth < 0) return nullptr;
  }
  return nullptr;
}

}  // namespace tidemill
