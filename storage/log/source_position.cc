#include "storage/log/source_position.h"

#include "storage/log/bytes.h"

namespace tidemill {

void write_source_position(const SourcePosition& position, std::span<std::byte, kSourcePositionBytes> into) {
  ByteWriter out(into.data());
  out.u64(position.source.value());
  out.u64(position.through.value());
  out.u64(position.parked);
  out.u64(position.lost);
}

std::optional<SourcePosition> read_source_position(std::span<const std::byte> bytes) {
  if (bytes.size() != kSourcePositionBytes) return std::nullopt;
  ByteReader in(bytes);
  SourcePosition position;
  position.source = Incarnation(in.u64());
  position.through = Sequence(in.u64());
  position.parked = in.u64();
  position.lost = in.u64();
  if (position.source.value() == 0) return std::nullopt;
  return position;
}

}  // namespace tidemill
