#include "consumers/views/state/exact_sum.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <vector>

#include "consumers/views/encoding.h"
#include "storage/base/check.h"

namespace tidemill::views {
namespace {

using Wide = unsigned __int128;

// Doubles begin at 2^-1074 and end below 2^1024; counts of 2^64 of them add one word.
constexpr std::int32_t kLowMin = -17;
constexpr std::int32_t kEndMax = 18;

// A magnitude as little-endian words.
using Words = std::vector<std::uint64_t>;

int bit_length(const Words& w) {
  for (std::size_t i = w.size(); i-- > 0;) {
    if (w[i] != 0) return static_cast<int>(64 * i) + 64 - std::countl_zero(w[i]);
  }
  return 0;
}

// Round half to even of `w` times 2^exponent, with `sticky` for a rest below the last bit.
double round_to_double(const Words& w, int exponent, bool sticky) {
  int bits = bit_length(w);
  if (bits == 0) return 0;
  auto bit = [&](int i) { return i >= 0 && (w[static_cast<std::size_t>(i) / 64] >> (i % 64) & 1) != 0; };
  // 53 bits, or fewer where the result is subnormal.
  int keep = std::min(53, bits + exponent + 1074);
  if (keep < 0) return 0;
  int drop = bits - keep;
  std::uint64_t mantissa = 0;
  for (int i = bits - 1; i >= std::max(drop, 0); --i) mantissa = mantissa << 1 | (bit(i) ? 1 : 0);
  if (drop > 0) {
    bool half = bit(drop - 1);
    bool below = sticky;
    for (int i = 0; i < drop - 1 && !below; ++i) below = bit(i);
    if (half && (below || (mantissa & 1) != 0)) ++mantissa;
  }
  return std::ldexp(static_cast<double>(mantissa), exponent + std::max(drop, 0));
}

}  // namespace

double to_15_digits(double v) {
  if (!std::isfinite(v)) return v;
  char text[40];
  int n = std::snprintf(text, sizeof text, "%.15g", v);
  double out = v;
  std::from_chars(text, text + n, out);
  return out;
}

void ExactSum::cover(std::int32_t low, std::int32_t end) {
  if (size_ == 0) low_ = low;
  std::int32_t new_low = std::min(low, low_);
  std::int32_t new_end = std::max(end, low_ + static_cast<std::int32_t>(size_));
  if (new_low == low_ && new_end == low_ + static_cast<std::int32_t>(size_)) return;
  auto below = static_cast<std::uint32_t>(low_ - new_low);
  auto size = static_cast<std::uint32_t>(new_end - new_low);
  std::uint64_t sign = sign_word();
  if (size > capacity_) {
    std::uint32_t capacity = std::max(size, capacity_ * 2);
    std::unique_ptr<std::uint64_t[]> heap(new std::uint64_t[capacity]);
    std::copy_n(words(), size_, heap.get() + below);
    heap_ = std::move(heap);
    capacity_ = capacity;
  } else if (below != 0) {
    std::copy_backward(words(), words() + size_, words() + size_ + below);
  }
  std::uint64_t* w = words();
  std::fill_n(w, below, 0);
  std::fill(w + below + size_, w + size, sign);
  low_ = new_low;
  size_ = size;
}

void ExactSum::add_words(std::int32_t low, const std::uint64_t* other, std::uint32_t size) {
  if (size == 0) return;
  auto end = low + static_cast<std::int32_t>(size);
  cover(low, end);
  std::uint64_t* w = words();
  std::uint64_t sign_before = sign_word();
  std::uint64_t sign_other = other[size - 1] >> 63 ? ~0ull : 0;
  auto at = static_cast<std::uint32_t>(low - low_);
  std::uint64_t carry = 0;
  for (std::uint32_t i = at; i < size_; ++i) {
    if (i >= at + size && ((carry == 0 && sign_other == 0) || (carry == 1 && sign_other == ~0ull)))
      return;  // no change
    std::uint64_t addend = i < at + size ? other[i - at] : sign_other;
    Wide sum = static_cast<Wide>(w[i]) + addend + carry;
    w[i] = static_cast<std::uint64_t>(sum);
    carry = static_cast<std::uint64_t>(sum >> 64);
  }
  // Two of one sign whose sum has the other: it needs one more word.
  if (sign_before == sign_other && sign_word() != sign_before) {
    std::int32_t top = low_ + static_cast<std::int32_t>(size_);
    cover(low_, top + 1);
    words()[size_ - 1] = sign_before;
  }
}

void ExactSum::add(std::int64_t v) {
  auto word = static_cast<std::uint64_t>(v);
  if (v != 0) add_words(0, &word, 1);
}

void ExactSum::add(double v) {
  if (v == 0) return;
  CHECK(std::isfinite(v));
  auto bits = std::bit_cast<std::uint64_t>(v);
  auto biased = static_cast<int>(bits >> 52 & 0x7ff);
  std::uint64_t mantissa = bits & ((1ull << 52) - 1);
  if (biased != 0) mantissa |= 1ull << 52;
  int exponent = (biased == 0 ? 1 : biased) - 1075;  // value = mantissa * 2^exponent
  int zeros = std::countr_zero(mantissa);            // keeps the number of words small: 2.5 needs one below the point
  mantissa >>= zeros;
  exponent += zeros;
  std::int32_t low = exponent >= 0 ? exponent / 64 : -((-exponent + 63) / 64);
  int shift = exponent - low * 64;
  Wide wide = static_cast<Wide>(mantissa) << shift;
  std::uint64_t pair[3] = {static_cast<std::uint64_t>(wide), static_cast<std::uint64_t>(wide >> 64), 0};
  std::uint32_t size = pair[1] == 0 ? 1 : 2;
  if (pair[size - 1] >> 63) ++size;  // the top bit is the sign's
  if (bits >> 63) {
    std::uint64_t carry = 1;
    for (std::uint32_t i = 0; i < size; ++i) {
      pair[i] = ~pair[i] + carry;
      carry = carry != 0 && pair[i] == 0 ? 1 : 0;
    }
  }
  add_words(low, pair, size);
}

void ExactSum::add(const ExactSum& other) {
  add_words(other.low_, other.words(), other.size_);
}

ExactSum::Trimmed ExactSum::trimmed() const {
  const std::uint64_t* w = words();
  std::uint32_t from = 0, to = size_;
  while (from < to && w[from] == 0) ++from;
  while (to - from > 1) {
    std::uint64_t sign = w[to - 2] >> 63 ? ~0ull : 0;
    if (w[to - 1] != sign) break;
    --to;
  }
  if (from == to) return {0, 0, w};
  return {low_ + static_cast<std::int32_t>(from), to - from, w + from};
}

void ExactSum::encode(std::string& out) const {
  Trimmed t = trimmed();
  put_varint(t.size, out);
  if (t.size == 0) return;
  put_varint(static_cast<std::uint64_t>(t.low - kLowMin), out);
  for (std::uint32_t i = 0; i < t.size; ++i) put_u64(t.words[i], out);
}

bool ExactSum::decode(std::string_view& in) {
  std::uint64_t size = 0, low = 0;
  if (!get_varint(in, size)) return false;
  low_ = 0;
  size_ = 0;
  if (size == 0) return true;
  if (!get_varint(in, low) || low + size > static_cast<std::uint64_t>(kEndMax - kLowMin)) return false;
  auto first = static_cast<std::int32_t>(low) + kLowMin;
  cover(first, first + static_cast<std::int32_t>(size));
  for (std::uint32_t i = 0; i < size; ++i) {
    if (!get_u64(in, words()[i])) return false;
  }
  Trimmed t = trimmed();
  return t.size == size_ && t.low == low_;
}

Cell ExactSum::value() const {
  Trimmed t = trimmed();
  if (t.size == 0) return Cell::integer(0);
  if (t.low == 0 && t.size == 1) return Cell::integer(static_cast<std::int64_t>(t.words[0]));
  return mean(1);
}

Cell ExactSum::mean(std::uint64_t count) const {
  Trimmed t = trimmed();
  if (t.size == 0) return Cell::integer(0);
  // Magnitude, then long division with 128 bits more than the double needs; what is left over only says "not exact".
  bool negative = t.words[t.size - 1] >> 63 != 0;
  Words w(t.words, t.words + t.size);
  if (negative) {
    std::uint64_t carry = 1;
    for (std::uint64_t& x : w) {
      x = ~x + carry;
      carry = carry != 0 && x == 0 ? 1 : 0;
    }
  }
  int exponent = t.low * 64;
  bool sticky = false;
  if (count > 1) {
    w.insert(w.begin(), 2, 0);
    exponent -= 128;
    Wide rest = 0;
    for (std::size_t i = w.size(); i-- > 0;) {
      rest = rest << 64 | w[i];
      w[i] = static_cast<std::uint64_t>(rest / count);
      rest %= count;
    }
    sticky = rest != 0;
  }
  double v = round_to_double(w, exponent, sticky);
  return canonical(Cell::real(to_15_digits(negative ? -v : v)));
}

}  // namespace tidemill::views
