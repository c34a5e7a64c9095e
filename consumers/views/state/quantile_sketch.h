#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tidemill::views {

// How numbers are distributed (DDSketch): how many fell into each bin, where a bin is a small part of a power of two,
// found from the number's own bits, so that every machine finds the same one.
//
//   level 0   each number has a bin of its own; at most 256 of them
//   level 1   64 bins to each power of two: a number is known to 1/128 of it (0.8 %); at most 2,048 bins, which is what
//             numbers need that lie within a factor of 2^32 (16 and less if half of them are negative)
//   level n   bins twice as wide as one level before (1.6 %, 3.1 % ...)
//
// The level is the least at which the bins are few enough. That, and so every byte, depends on the set of numbers
// alone: bins only grow wider as numbers come, and a part never needs wider ones than the whole.
class QuantileSketch {
 public:
  void add(double v);  // finite
  void merge(const QuantileSketch& other);
  bool empty() const { return bins_.empty(); }
  // Of the numbers in order, the one at `fraction` (0 to 1) of the way from the first to the last, going straight from
  // one to the next between them. Not empty.
  double quantile(double fraction) const;

  // varint level, varint number of bins; then each, ascending, and its varint count. Level 0: cell of the number; else
  // varint zigzag index of the first bin, varint difference to the one before of the others.
  void encode(std::string& out) const;
  bool decode(std::string_view& in);
  std::size_t heap() const { return bins_.capacity() * sizeof(Bin); }

 private:
  struct Bin {
    std::int64_t index;  // 0: zero; 1 + the upper bits of the number; negative likewise
    std::uint64_t count;
  };
  void raise(int level);
  void fit();  // to the least level that will do
  double middle(std::int64_t index) const;
  double number_at(std::uint64_t rank) const;

  std::vector<Bin> bins_;  // ascending
  int level_ = 0;
};

}  // namespace tidemill::views
