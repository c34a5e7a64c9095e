#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "consumers/views/cell.h"

namespace tidemill::views {

// The exact sum of any integers and finite doubles: a two's complement fixed-point number of as many 64-bit words as it
// needs, from 2^-1088 up. No addition is ever rounded, so order and grouping cannot matter; it is rounded once, when
// read.
//
// Value: words as one signed little-endian integer, times 2^(64 * low). Four words live in place (sums of money take
// two or three); more go to the heap.
class ExactSum {
 public:
  ExactSum() = default;
  ExactSum(const ExactSum&) = delete;
  ExactSum& operator=(const ExactSum&) = delete;

  void add(std::int64_t v);
  void add(double v);  // finite
  void add(const ExactSum& other);
  // A number's square, exact too. A sum has either numbers or squares, which reach twice as far down and up.
  void add_square(std::int64_t v);
  void add_square(double v);  // finite

  // Canonical: no word at either end that says nothing. Zero has no words.
  enum class Of { numbers, squares };
  void encode(std::string& out, Of of = Of::numbers) const;
  bool decode(std::string_view& in, Of of = Of::numbers);
  std::size_t heap() const { return heap_ ? capacity_ * sizeof(std::uint64_t) : 0; }

  // The sum: an integer where it is one and fits 64 bits, else the nearest double cut to 15 significant digits.
  Cell value() const;
  // The same, divided by a count > 0.
  Cell mean(std::uint64_t count) const;
  // From the sum of `count` numbers and that of their squares: (squares - sum * sum / count) / divisor, worked out in
  // integers and rounded once; or the root of it.
  static Cell spread(const ExactSum& sum, const ExactSum& squares, std::uint64_t count, std::uint64_t divisor,
                     bool root);

 private:
  struct Trimmed {  // a view of the words that say something
    std::int32_t low;
    std::uint32_t size;
    const std::uint64_t* words;
  };
  Trimmed trimmed() const;
  std::uint64_t* words() { return heap_ ? heap_.get() : inline_.data(); }
  const std::uint64_t* words() const { return heap_ ? heap_.get() : inline_.data(); }
  std::uint64_t sign_word() const { return size_ != 0 && words()[size_ - 1] >> 63 ? ~0ull : 0; }
  // Adds mantissa * 2^exponent.
  void add_scaled(unsigned __int128 mantissa, int exponent, bool negative);
  // Makes room so that words [low, low + size) exist and one more can carry no overflow.
  void cover(std::int32_t low, std::int32_t end);
  // Adds a signed number given as words from `low` on.
  void add_words(std::int32_t low, const std::uint64_t* words, std::uint32_t size);

  std::int32_t low_ = 0;
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 4;
  std::array<std::uint64_t, 4> inline_{};
  std::unique_ptr<std::uint64_t[]> heap_;
};

// A real as it is shown: the nearest double to its 15 significant digits, so 22.2 and not 22.200000000000003.
double to_15_digits(double v);

}  // namespace tidemill::views
