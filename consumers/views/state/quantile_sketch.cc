#include "consumers/views/state/quantile_sketch.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "consumers/views/cell.h"
#include "consumers/views/encoding.h"
#include "storage/base/check.h"

namespace tidemill::views {
namespace {

constexpr int kLevelMax = 9;                            // where all doubles there are need 1,025 bins
constexpr std::uint64_t kLargest = 0x7fefffffffffffff;  // bits of the largest double

std::size_t bins_max(int level) {
  return level == 0 ? 256 : 2048;
}
// How many of a double's lower bits do not count. 46 leave 6 of the fraction.
int dropped_bits(int level) {
  return level == 0 ? 0 : 45 + level;
}

std::int64_t index_of(double v, int level) {
  if (v == 0) return 0;
  auto index = static_cast<std::int64_t>(1 + (std::bit_cast<std::uint64_t>(std::fabs(v)) >> dropped_bits(level)));
  return v < 0 ? -index : index;
}
// Of the bin at level `to` that the bin lies in.
std::int64_t widened(std::int64_t index, int from, int to) {
  if (index == 0) return 0;
  std::int64_t size = 1 + ((std::abs(index) - 1) >> (dropped_bits(to) - dropped_bits(from)));
  return index < 0 ? -size : size;
}

}  // namespace

void QuantileSketch::add(double v) {
  CHECK(std::isfinite(v));
  std::int64_t index = index_of(v, level_);
  auto at =
      std::lower_bound(bins_.begin(), bins_.end(), index, [](const Bin& b, std::int64_t i) { return b.index < i; });
  if (at != bins_.end() && at->index == index) {
    ++at->count;
    return;
  }
  bins_.insert(at, {index, 1});
  fit();
}

void QuantileSketch::raise(int level) {
  std::size_t kept = 0;
  for (const Bin& bin : bins_) {
    std::int64_t index = widened(bin.index, level_, level);
    if (kept != 0 && bins_[kept - 1].index == index) {
      bins_[kept - 1].count += bin.count;
    } else {
      bins_[kept++] = {index, bin.count};
    }
  }
  bins_.resize(kept);
  level_ = level;
}

void QuantileSketch::fit() {
  while (bins_.size() > bins_max(level_)) raise(level_ + 1);
}

void QuantileSketch::merge(const QuantileSketch& other) {
  if (other.level_ > level_) raise(other.level_);
  std::vector<Bin> both;
  both.reserve(bins_.size() + other.bins_.size());
  auto mine = bins_.begin();
  for (const Bin& bin : other.bins_) {
    std::int64_t index = widened(bin.index, other.level_, level_);
    while (mine != bins_.end() && mine->index <= index) both.push_back(*mine++);
    if (!both.empty() && both.back().index == index) {
      both.back().count += bin.count;
    } else {
      both.push_back({index, bin.count});
    }
  }
  both.insert(both.end(), mine, bins_.end());
  bins_ = std::move(both);
  fit();
}

double QuantileSketch::middle(std::int64_t index) const {
  if (index == 0) return 0;
  int dropped = dropped_bits(level_);
  auto bits = static_cast<std::uint64_t>(std::abs(index) - 1) << dropped;
  if (dropped != 0) bits = std::min(bits + (std::uint64_t{1} << (dropped - 1)), kLargest);
  auto v = std::bit_cast<double>(bits);
  return index < 0 ? -v : v;
}

double QuantileSketch::number_at(std::uint64_t rank) const {
  for (const Bin& bin : bins_) {
    if (rank < bin.count) return middle(bin.index);
    rank -= bin.count;
  }
  return middle(bins_.back().index);
}

double QuantileSketch::quantile(double fraction) const {
  std::uint64_t count = 0;
  for (const Bin& bin : bins_) count += bin.count;
  double place = fraction * static_cast<double>(count - 1);
  double rank = std::floor(place);
  double between = place - rank;
  double low = number_at(static_cast<std::uint64_t>(rank));
  if (between == 0) return low;
  double high = number_at(static_cast<std::uint64_t>(rank) + 1);
  return low == high ? low : low * (1 - between) + high * between;
}

void QuantileSketch::encode(std::string& out) const {
  put_varint(static_cast<std::uint64_t>(level_), out);
  put_varint(bins_.size(), out);
  std::int64_t before = 0;
  for (const Bin& bin : bins_) {
    if (level_ == 0) {
      put_cell(canonical(Cell::real(middle(bin.index))), out);
    } else if (&bin == bins_.data()) {
      put_varint(static_cast<std::uint64_t>(bin.index) << 1 ^ static_cast<std::uint64_t>(bin.index >> 63), out);
    } else {
      put_varint(static_cast<std::uint64_t>(bin.index - before), out);
    }
    before = bin.index;
    put_varint(bin.count, out);
  }
}

bool QuantileSketch::decode(std::string_view& in) {
  std::uint64_t level = 0, size = 0;
  if (!get_varint(in, level) || level > kLevelMax || !get_varint(in, size)) return false;
  level_ = static_cast<int>(level);
  if (size > bins_max(level_) || (level_ != 0 && size == 0)) return false;
  const std::uint64_t largest = 1 + (kLargest >> dropped_bits(level_));
  for (std::uint64_t i = 0; i < size; ++i) {
    Bin bin{};
    if (level_ == 0) {
      Cell cell;
      if (!get_cell(in, cell) || !cell.is_number()) return false;
      double v = cell.type() == CellType::integer ? static_cast<double>(cell.integer()) : cell.real();
      if (!std::isfinite(v) || compare(canonical(Cell::real(v)), cell) != 0) return false;
      bin.index = index_of(v, 0);
    } else {
      std::uint64_t word = 0;
      if (!get_varint(in, word)) return false;
      if (i == 0) {
        bin.index = static_cast<std::int64_t>(word >> 1 ^ (0 - (word & 1)));
      } else if (word == 0 || word > 2 * largest) {
        return false;
      } else {
        bin.index = bins_.back().index + static_cast<std::int64_t>(word);
      }
      if (bin.index > static_cast<std::int64_t>(largest) || bin.index < -static_cast<std::int64_t>(largest))
        return false;
    }
    if (i != 0 && bin.index <= bins_.back().index) return false;
    if (!get_varint(in, bin.count) || bin.count == 0) return false;
    bins_.push_back(bin);
  }
  return true;
}

}  // namespace tidemill::views
