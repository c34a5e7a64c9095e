#include "consumers/views/state/distinct_sketch.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>

#include "consumers/views/encoding.h"

namespace tidemill::views {
namespace {

constexpr int kRestBits = DistinctSketch::kHashBits - 12;
constexpr std::uint8_t kRankMax = kRestBits + 1;
constexpr int kPackedBits = 5;
static_assert(kRankMax < 1 << kPackedBits);

// Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017): one formula for all sizes, from
// how many registers have each rank.
double sigma(double x) {
  double y = 1, z = x, before = 0;
  do {
    x *= x;
    before = z;
    z += x * y;
    y += y;
  } while (z != before);
  return z;
}
double tau(double x) {
  if (x == 0 || x == 1) return 0;
  double y = 1, z = 1 - x, before = 0;
  do {
    x = std::sqrt(x);
    before = z;
    y *= 0.5;
    z -= (1 - x) * (1 - x) * y;
  } while (z != before);
  return z / 3;
}

}  // namespace

void DistinctSketch::count_in(std::uint64_t hash) {
  std::uint64_t rest = hash & ((1ull << kRestBits) - 1);
  auto rank = static_cast<std::uint8_t>(rest == 0 ? kRankMax : std::countl_zero(rest) - (64 - kRestBits) + 1);
  std::uint8_t& held = (*registers_)[hash >> kRestBits];
  held = std::max(held, rank);
}

void DistinctSketch::turn_to_registers() {
  registers_ = std::make_unique<std::array<std::uint8_t, kRegisters>>();
  for (std::uint64_t hash : hashes_) count_in(hash);
  hashes_ = {};
}

void DistinctSketch::add(std::uint64_t hash) {
  hash >>= 64 - kHashBits;
  if (registers_) return count_in(hash);
  auto at = std::lower_bound(hashes_.begin(), hashes_.end(), hash);
  if (at != hashes_.end() && *at == hash) return;
  hashes_.insert(at, hash);
  if (hashes_.size() > kHashesMax) turn_to_registers();
}

void DistinctSketch::merge(const DistinctSketch& other) {
  if (!registers_ && !other.registers_) {
    std::vector<std::uint64_t> both;
    both.reserve(hashes_.size() + other.hashes_.size());
    std::set_union(hashes_.begin(), hashes_.end(), other.hashes_.begin(), other.hashes_.end(),
                   std::back_inserter(both));
    hashes_ = std::move(both);
    if (hashes_.size() > kHashesMax) turn_to_registers();
    return;
  }
  if (!registers_) turn_to_registers();
  for (std::uint64_t hash : other.hashes_) count_in(hash);
  if (!other.registers_) return;
  for (std::size_t i = 0; i < kRegisters; ++i) (*registers_)[i] = std::max((*registers_)[i], (*other.registers_)[i]);
}

std::uint64_t DistinctSketch::estimate() const {
  if (!registers_) return hashes_.size();
  std::array<double, kRankMax + 1> with{};  // how many registers have each rank
  for (std::uint8_t rank : *registers_) ++with[rank];
  constexpr double m = kRegisters;
  double z = m * tau(1 - with[kRankMax] / m);
  for (int rank = kRestBits; rank >= 1; --rank) z = 0.5 * (z + with[static_cast<std::size_t>(rank)]);
  z += m * sigma(with[0] / m);
  return static_cast<std::uint64_t>(std::llround(m * m / (2 * std::log(2.0)) / z));
}

void DistinctSketch::encode(std::string& out) const {
  put_varint(registers_ ? kHashesMax + 1 : hashes_.size(), out);
  for (std::uint64_t hash : hashes_) {
    for (int shift = kHashBits - 8; shift >= 0; shift -= 8) out += static_cast<char>(hash >> shift);
  }
  if (!registers_) return;
  std::uint32_t bits = 0;
  int n = 0;
  for (std::uint8_t rank : *registers_) {
    bits |= static_cast<std::uint32_t>(rank) << n;
    for (n += kPackedBits; n >= 8; n -= 8, bits >>= 8) out += static_cast<char>(bits);
  }
}

bool DistinctSketch::decode(std::string_view& in) {
  std::uint64_t size = 0;
  if (!get_varint(in, size) || size > kHashesMax + 1) return false;
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(in[i]); };
  if (size <= kHashesMax) {
    if (in.size() < size * 5) return false;
    for (std::size_t i = 0; i < size; ++i) {
      std::uint64_t hash = 0;
      for (std::size_t k = 0; k < 5; ++k) hash = hash << 8 | byte(5 * i + k);
      if (!hashes_.empty() && hash <= hashes_.back()) return false;
      hashes_.push_back(hash);
    }
    in.remove_prefix(size * 5);
    return true;
  }
  constexpr std::size_t kBytes = kRegisters * kPackedBits / 8;
  if (in.size() < kBytes) return false;
  registers_ = std::make_unique<std::array<std::uint8_t, kRegisters>>();
  std::uint32_t bits = 0;
  int n = 0;
  std::size_t at = 0;
  for (std::uint8_t& rank : *registers_) {
    if (n < kPackedBits) {
      bits |= static_cast<std::uint32_t>(byte(at++)) << n;
      n += 8;
    }
    rank = static_cast<std::uint8_t>(bits & ((1u << kPackedBits) - 1));
    bits >>= kPackedBits;
    n -= kPackedBits;
    if (rank > kRankMax) return false;
  }
  in.remove_prefix(kBytes);
  return std::any_of(registers_->begin(), registers_->end(), [](std::uint8_t rank) { return rank != 0; });
}

}  // namespace tidemill::views
