#include "storage/log/segment_format.h"

#include <charconv>
#include <cstdio>

#include "storage/base/check.h"
#include "storage/log/bytes.h"
#include "storage/log/checksum.h"

namespace tidemill {
namespace {

constexpr std::size_t kFixedBytes = 256;
constexpr std::size_t kSourceAt = 144;
constexpr std::size_t kEpochBytes = 16;
static_assert(kFixedBytes + kEpochsMax * kEpochBytes == kBlockBytes);

std::string digits20(std::uint64_t n) {
  char text[24];
  std::snprintf(text, sizeof text, "%020llu", static_cast<unsigned long long>(n));
  return text;
}

std::optional<std::uint64_t> parse20(std::string_view text) {
  std::uint64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size() || text.size() != 20) return std::nullopt;
  return n;
}

}  // namespace

std::vector<EpochStart> add_epoch(std::vector<EpochStart> epochs, EpochStart latest) {
  // Of epochs without a record between them the last one tells it all.
  while (!epochs.empty() && epochs.back().start == latest.start) epochs.pop_back();
  if (epochs.size() == kEpochsMax) epochs.erase(epochs.begin());
  epochs.push_back(latest);
  return epochs;
}

void write_segment_header(const SegmentHeader& h, std::span<std::byte> into) {
  CHECK(into.size() == kSegmentHeaderBytes);
  CHECK(h.epochs.size() <= kEpochsMax);
  std::byte* const begin = into.data();
  ByteWriter out(begin + 8);
  out.u64(kSegmentMagic);
  out.u16(kSegmentVersion);
  out.u16(0);  // flags
  out.u32(h.epoch.value());
  out.u64(h.id.value());
  out.u64(h.salt);
  out.u64(h.incarnation.value());
  out.u64(h.bytes);
  out.u64(h.log_start.value());
  out.u64(h.first.value());
  out.i64(h.created.time_since_epoch().count());
  out.i64(h.running_max.time_since_epoch().count());
  out.u64(h.requests_before);
  out.u64(h.predecessor.id.value());
  out.u64(h.predecessor.end.value());
  out.u64(h.predecessor.last.value());
  out.u64(h.predecessor.checksum);
  out.u64(h.initial_last.value());
  out.u32(h.initial_bytes);
  out.u32(static_cast<std::uint32_t>(h.epochs.size()));
  CHECK(out.at() == begin + kSourceAt);
  out.zeros(kFixedBytes - kSourceAt);
  if (h.source)
    write_source_position(*h.source,
                          std::span<std::byte, kSourcePositionBytes>(begin + kSourceAt, kSourcePositionBytes));
  for (const EpochStart& e : h.epochs) {
    out.u64(e.epoch.value());
    out.u64(e.start.value());
  }
  out.zeros(static_cast<std::size_t>(begin + kBlockBytes - out.at()));
  ByteWriter(begin).u64(checksum({begin + 8, kBlockBytes - 8}, h.salt));
  std::memcpy(begin + kBlockBytes, begin, kBlockBytes);
}

std::optional<SegmentHeader> read_segment_header(std::span<const std::byte> block) {
  if (block.size() != kBlockBytes) return std::nullopt;
  ByteReader in(block);
  const std::uint64_t sum = in.u64();
  if (in.u64() != kSegmentMagic || in.u16() != kSegmentVersion) return std::nullopt;
  in.u16();
  SegmentHeader h;
  h.epoch = Epoch(in.u32());
  h.id = SegmentId(in.u64());
  h.salt = in.u64();
  if (checksum(block.subspan(8), h.salt) != sum) return std::nullopt;
  h.incarnation = Incarnation(in.u64());
  h.bytes = in.u64();
  h.log_start = Sequence(in.u64());
  h.first = Sequence(in.u64());
  h.created = WallTime(std::chrono::milliseconds(in.i64()));
  h.running_max = WallTime(std::chrono::milliseconds(in.i64()));
  h.requests_before = in.u64();
  h.predecessor.id = SegmentId(in.u64());
  h.predecessor.end = ByteOffset(in.u64());
  h.predecessor.last = Sequence(in.u64());
  h.predecessor.checksum = in.u64();
  h.initial_last = Sequence(in.u64());
  h.initial_bytes = in.u32();
  const std::uint32_t epochs = in.u32();
  if (epochs == 0 || epochs > kEpochsMax) return std::nullopt;
  h.source = read_source_position(block.subspan(kSourceAt, kSourcePositionBytes));
  ByteReader table(block.subspan(kFixedBytes));
  for (std::uint32_t i = 0; i < epochs; ++i) {
    const auto epoch = Epoch(static_cast<std::uint32_t>(table.u64()));
    const auto start = Sequence(table.u64());
    h.epochs.push_back({epoch, start});
  }
  return h;
}

std::uint16_t segment_version(std::span<const std::byte> block) {
  ByteReader in(block);
  in.u64();
  return in.u64() == kSegmentMagic ? in.u16() : 0;
}

std::string segment_file_name(const SegmentName& name) {
  return digits20(name.id.value()) + "-" + digits20(name.first.value()) + ".seg";
}

std::optional<SegmentName> parse_segment_file_name(std::string_view name) {
  if (name.size() != 45 || name[20] != '-' || name.substr(41) != ".seg") return std::nullopt;
  const auto id = parse20(name.substr(0, 20));
  const auto first = parse20(name.substr(21, 20));
  if (!id || !first || *id == 0 || *first == 0) return std::nullopt;
  return SegmentName{SegmentId(*id), Sequence(*first)};
}

std::string index_file_name(SegmentId id) {
  return digits20(id.value()) + ".idx";
}

std::optional<SegmentId> parse_index_file_name(std::string_view name) {
  if (name.size() != 24 || name.substr(20) != ".idx") return std::nullopt;
  const auto id = parse20(name.substr(0, 20));
  if (!id || *id == 0) return std::nullopt;
  return SegmentId(*id);
}

}  // namespace tidemill
