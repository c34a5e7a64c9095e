#include "consumers/views/state/exact_sum.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <span>
#include <vector>

#include "consumers/views/encoding.h"
#include "storage/base/check.h"

namespace tidemill::views {
namespace {

using Wide = unsigned __int128;

// Doubles begin at 2^-1074 and end below 2^1024; counts of 2^64 of them add one word. Their squares twice that.
struct Reach {
  std::int32_t low_min;
  std::int32_t end_max;
};
constexpr Reach reach(ExactSum::Of of) {
  return of == ExactSum::Of::numbers ? Reach{-17, 18} : Reach{-34, 34};
}

// A magnitude as little-endian words.
using Words = std::vector<std::uint64_t>;

Words magnitude(std::span<const std::uint64_t> signed_words) {
  Words w(signed_words.begin(), signed_words.end());
  if (w.empty() || w.back() >> 63 == 0) return w;
  std::uint64_t carry = 1;
  for (std::uint64_t& x : w) {
    x = ~x + carry;
    carry = carry != 0 && x == 0 ? 1 : 0;
  }
  return w;
}

int bit_length(const Words& w) {
  for (std::size_t i = w.size(); i-- > 0;) {
    if (w[i] != 0) return static_cast<int>(64 * i) + 64 - std::countl_zero(w[i]);
  }
  return 0;
}

// Divides in place; whether anything is left over.
bool divide(Words& w, std::uint64_t by) {
  Wide rest = 0;
  for (std::size_t i = w.size(); i-- > 0;) {
    rest = rest << 64 | w[i];
    w[i] = static_cast<std::uint64_t>(rest / by);
    rest %= by;
  }
  return rest != 0;
}

Words product(const Words& a, const Words& b) {
  Words out(a.size() + b.size(), 0);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::uint64_t carry = 0;
    for (std::size_t k = 0; k < b.size(); ++k) {
      Wide sum = static_cast<Wide>(a[i]) * b[k] + out[i + k] + carry;
      out[i + k] = static_cast<std::uint64_t>(sum);
      carry = static_cast<std::uint64_t>(sum >> 64);
    }
    out[i + b.size()] = carry;
  }
  return out;
}

// Makes a -= b, which is not greater.
void subtract(Words& a, const Words& b) {
  std::uint64_t borrow = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    Wide taken = static_cast<Wide>(i < b.size() ? b[i] : 0) + borrow;
    borrow = a[i] < taken ? 1 : 0;
    a[i] -= static_cast<std::uint64_t>(taken);
  }
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

namespace {

// |v| is mantissa * 2^exponent, and the mantissa is odd.
struct Binary {
  std::uint64_t mantissa;
  int exponent;
  bool negative;
};
Binary binary(double v) {
  CHECK(std::isfinite(v));
  auto bits = std::bit_cast<std::uint64_t>(v);
  auto biased = static_cast<int>(bits >> 52 & 0x7ff);
  std::uint64_t mantissa = bits & ((1ull << 52) - 1);
  if (biased != 0) mantissa |= 1ull << 52;
  int exponent = (biased == 0 ? 1 : biased) - 1075;  // value = mantissa * 2^exponent
  int zeros = std::countr_zero(mantissa);            // keeps the number of words small: 2.5 needs one below the point
  return {mantissa >> zeros, exponent + zeros, bits >> 63 != 0};
}

}  // namespace

void ExactSum::add_scaled(Wide mantissa, int exponent, bool negative) {
  std::int32_t low = exponent >= 0 ? exponent / 64 : -((-exponent + 63) / 64);
  int shift = exponent - low * 64;
  std::uint64_t w[4] = {static_cast<std::uint64_t>(mantissa << shift),
                        static_cast<std::uint64_t>(mantissa << shift >> 64),
                        shift == 0 ? 0 : static_cast<std::uint64_t>(mantissa >> 64 >> (64 - shift)), 0};
  std::uint32_t size = w[2] != 0 ? 3 : (w[1] != 0 ? 2 : 1);
  if (w[size - 1] >> 63) ++size;  // the top bit is the sign's
  if (negative) {
    std::uint64_t carry = 1;
    for (std::uint32_t i = 0; i < size; ++i) {
      w[i] = ~w[i] + carry;
      carry = carry != 0 && w[i] == 0 ? 1 : 0;
    }
  }
  add_words(low, w, size);
}

void ExactSum::add(double v) {
  if (v == 0) return;
  Binary b = binary(v);
  add_scaled(b.mantissa, b.exponent, b.negative);
}

void ExactSum::add_square(double v) {
  if (v == 0) return;
  Binary b = binary(v);
  add_scaled(static_cast<Wide>(b.mantissa) * b.mantissa, 2 * b.exponent, false);
}

void ExactSum::add_square(std::int64_t v) {
  auto magnitude = v < 0 ? 0 - static_cast<std::uint64_t>(v) : static_cast<std::uint64_t>(v);
  add_scaled(static_cast<Wide>(magnitude) * magnitude, 0, false);
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

void ExactSum::encode(std::string& out, Of of) const {
  Trimmed t = trimmed();
  put_varint(t.size, out);
  if (t.size == 0) return;
  put_varint(static_cast<std::uint64_t>(t.low - reach(of).low_min), out);
  for (std::uint32_t i = 0; i < t.size; ++i) put_u64(t.words[i], out);
}

bool ExactSum::decode(std::string_view& in, Of of) {
  const Reach within = reach(of);
  std::uint64_t size = 0, low = 0;
  if (!get_varint(in, size)) return false;
  low_ = 0;
  size_ = 0;
  if (size == 0) return true;
  if (!get_varint(in, low) || low > 100 || size > 100 ||
      low + size > static_cast<std::uint64_t>(within.end_max - within.low_min))
    return false;
  auto first = static_cast<std::int32_t>(low) + within.low_min;
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
  Words w = magnitude({t.words, t.size});
  int exponent = t.low * 64;
  bool sticky = false;
  if (count > 1) {
    w.insert(w.begin(), 2, 0);
    exponent -= 128;
    sticky = divide(w, count);
  }
  double v = round_to_double(w, exponent, sticky);
  return canonical(Cell::real(to_15_digits(negative ? -v : v)));
}

Cell ExactSum::spread(const ExactSum& sum, const ExactSum& squares, std::uint64_t count, std::uint64_t divisor,
                      bool root) {
  // count * squares - sum * sum, over count * divisor.
  Trimmed s = sum.trimmed(), q = squares.trimmed();
  Words above = product(magnitude({q.words, q.size}), {count});
  Words below = magnitude({s.words, s.size});
  below = product(below, below);
  std::int32_t low = std::min(q.low, 2 * s.low);
  above.insert(above.begin(), static_cast<std::size_t>(q.low - low), 0);
  below.insert(below.begin(), static_cast<std::size_t>(2 * s.low - low), 0);
  above.resize(std::max(above.size(), below.size()));
  subtract(above, below);
  if (bit_length(above) == 0) return Cell::integer(0);
  above.insert(above.begin(), 4, 0);
  int exponent = (low - 4) * 64;
  bool sticky = divide(above, count);
  sticky = divide(above, divisor) || sticky;
  double v = 0;
  if (root) {
    // Of a number near 1, so that it neither over- nor underflows where its root would not.
    int twice = (bit_length(above) + exponent) & ~1;
    v = std::ldexp(std::sqrt(round_to_double(above, exponent - twice, sticky)), twice / 2);
  } else {
    v = round_to_double(above, exponent, sticky);
  }
  return canonical(Cell::real(to_15_digits(v)));
}

}  // namespace tidemill::views
