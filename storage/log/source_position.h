#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "storage/base/ids.h"

namespace tidemill {

// How far a log that is made from another one has come in it. Its commits carry it (docs/formats/segment.md): it is
// true of all records up to the end of the commit, and as durable as they are.
struct SourcePosition {
  Incarnation source;        // which log it is made from
  Sequence through;          // everything of that up to here is in; kSourceLost: nobody knows any more
  std::uint64_t parked = 0;  // records up to here that could not be worked out
  std::uint64_t lost = 0;    // records up to here that could not be read any more
  bool operator==(const SourcePosition&) const = default;
};

// Where the commits that said it were damaged, with nothing behind them that says it again.
inline constexpr Sequence kSourceLost{~std::uint64_t{0}};

inline constexpr std::uint16_t kSourceExtension = 1;  // type of the commit extension
inline constexpr std::size_t kSourcePositionBytes = 32;

void write_source_position(const SourcePosition& position, std::span<std::byte, kSourcePositionBytes> into);
// nullopt: there is none (zeros), or it is of another size.
std::optional<SourcePosition> read_source_position(std::span<const std::byte> bytes);

}  // namespace tidemill
