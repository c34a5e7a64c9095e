#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace tidemill {

// A number that means one thing. No silent way back to an integer: write `.value()`.
template <class Tag, class Rep>
class Id {
 public:
  using rep = Rep;
  constexpr Id() = default;
  constexpr explicit Id(Rep value) : value_(value) {}
  constexpr Rep value() const { return value_; }
  constexpr auto operator<=>(const Id&) const = default;

 private:
  Rep value_ = 0;
};

// The number of a record: dense and increasing over the whole stream, the first is 1. 0 is "before the first".
using Sequence = Id<struct SequenceTag, std::uint64_t>;
constexpr Sequence next(Sequence s, std::uint64_t n = 1) {
  return Sequence(s.value() + n);
}

using ByteOffset = Id<struct ByteOffsetTag, std::uint64_t>;    // in a file
using StreamId = Id<struct StreamIdTag, std::uint64_t>;        // names a directory; never used again
using SegmentId = Id<struct SegmentIdTag, std::uint64_t>;      // increasing within a stream, from 1
using ShardId = Id<struct ShardIdTag, std::uint32_t>;          // increasing within a stream, from 0
using Incarnation = Id<struct IncarnationTag, std::uint64_t>;  // random, one life of a stream name
using Epoch = Id<struct EpochTag, std::uint32_t>;              // raised at start, failed flush, restore

// A point of the 128-bit hash space: MD5 of the partition key as a big-endian number, or the producer's own.
struct HashKey {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  constexpr auto operator<=>(const HashKey&) const = default;
};
constexpr HashKey kHashKeyMax{~0ull, ~0ull};

// First and last hash key of a shard, both inside.
struct HashRange {
  HashKey first;
  HashKey last = kHashKeyMax;
  constexpr bool contains(HashKey k) const { return first <= k && k <= last; }
  constexpr bool operator==(const HashRange&) const = default;
};

}  // namespace tidemill

template <class Tag, class Rep>
struct std::hash<tidemill::Id<Tag, Rep>> {
  std::size_t operator()(tidemill::Id<Tag, Rep> id) const noexcept { return std::hash<Rep>()(id.value()); }
};
