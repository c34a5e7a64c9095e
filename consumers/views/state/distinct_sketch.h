#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tidemill::views {

// About how many different values there were (HyperLogLog, 4,096 registers): the hashes themselves while there are at
// most 512 of them, which is as good as exact; then for each register the longest run of zeros that a hash began with,
// with a standard error of 1.6 %. What it holds depends on the set of hashes alone, so order and grouping cannot
// matter: it turns to registers when the set has more than 512, whoever brings the 513th.
class DistinctSketch {
 public:
  static constexpr int kHashBits = 40;  // 12 choose the register, 28 are counted in
  static constexpr std::size_t kRegisters = 4096;
  static constexpr std::size_t kHashesMax = 512;

  void add(std::uint64_t hash);  // 64 bits, of which the upper 40 count
  void merge(const DistinctSketch& other);
  std::uint64_t estimate() const;

  // varint n and n times 5 bytes big-endian, ascending; or varint 513 and 4,096 times 5 bits, low ones first.
  void encode(std::string& out) const;
  bool decode(std::string_view& in);
  std::size_t heap() const { return hashes_.capacity() * sizeof(std::uint64_t) + (registers_ ? kRegisters : 0); }

 private:
  void count_in(std::uint64_t hash40);
  void turn_to_registers();

  std::vector<std::uint64_t> hashes_;  // ascending; none once there are registers
  std::unique_ptr<std::array<std::uint8_t, kRegisters>> registers_;
};

}  // namespace tidemill::views
