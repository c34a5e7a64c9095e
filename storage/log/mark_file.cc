#include "storage/log/mark_file.h"

#include "storage/base/check.h"
#include "storage/log/bytes.h"
#include "storage/log/checksum.h"

namespace tidemill {

void write_mark_slot(const DurableMark& mark, std::span<std::byte> block) {
  CHECK(block.size() == kBlockBytes);
  ByteWriter out(block.data() + 8);
  out.u64(kMarkMagic);
  out.u16(kMarkVersion);
  std::uint16_t noted = 0;
  for (std::size_t i = 0; i < kNotesMax; ++i) noted |= static_cast<std::uint16_t>(mark.notes[i] ? 1u << i : 0);
  out.u16(noted);
  out.u32(mark.epoch.value());
  out.u64(mark.generation);
  out.u64(mark.incarnation.value());
  out.u64(mark.segment.value());
  out.u64(mark.end.value());
  out.u64(mark.last.value());
  out.u64(mark.checksum);
  for (const auto& note : mark.notes) out.u64(note.value_or(Sequence()).value());
  out.zeros(static_cast<std::size_t>(block.data() + kBlockBytes - out.at()));
  ByteWriter(block.data()).u64(checksum(block.subspan(8), kMarkMagic));
}

std::optional<DurableMark> read_mark_slot(std::span<const std::byte> block) {
  if (block.size() != kBlockBytes) return std::nullopt;
  ByteReader in(block);
  if (in.u64() != checksum(block.subspan(8), kMarkMagic)) return std::nullopt;
  if (in.u64() != kMarkMagic || in.u16() != kMarkVersion) return std::nullopt;
  DurableMark mark;
  const std::uint16_t noted = in.u16();
  mark.epoch = Epoch(in.u32());
  mark.generation = in.u64();
  mark.incarnation = Incarnation(in.u64());
  mark.segment = SegmentId(in.u64());
  mark.end = ByteOffset(in.u64());
  mark.last = Sequence(in.u64());
  mark.checksum = in.u64();
  for (std::size_t i = 0; i < kNotesMax; ++i) {
    const auto note = Sequence(in.u64());
    if ((noted >> i & 1) != 0) mark.notes[i] = note;
  }
  return mark;
}

MarkFile::MarkFile(FileSystem& fs, const std::string& directory)
    : fs_(fs), directory_(directory), path_(directory + "/mark") {}

Result<std::optional<DurableMark>> MarkFile::read() {
  auto file = fs_.open(path_, OpenMode::read);
  if (!file) {
    if (file.error() == boost::system::errc::no_such_file_or_directory) return std::optional<DurableMark>();
    return file.error();
  }
  std::optional<DurableMark> newest;
  const std::span<std::byte> block(buffer_.reserve(kBlockBytes), kBlockBytes);
  for (std::uint64_t slot = 0; slot < 2; ++slot) {
    const auto n = (*file)->read_at(ByteOffset(slot * kBlockBytes), block);
    if (!n || *n != kBlockBytes) continue;
    auto mark = read_mark_slot(block);
    if (mark && (!newest || newest->generation < mark->generation)) newest = mark;
  }
  if (newest) generation_ = newest->generation;
  return newest;
}

Result<void> MarkFile::write(DurableMark mark, bool flush) {
  // Opened each time, at most every tenth of a second: a thousand idle streams hold no descriptor for it.
  const bool fresh = !known_ && !exists(fs_, path_);
  ASSIGN_OR_RETURN(const auto file, fs_.open(path_, OpenMode::open_or_create));
  if (fresh) RETURN_IF_ERROR(fs_.sync_directory(directory_));
  known_ = true;
  mark.generation = ++generation_;
  const std::span<std::byte> block(buffer_.reserve(kBlockBytes), kBlockBytes);
  write_mark_slot(mark, block);
  RETURN_IF_ERROR(file->write_at(ByteOffset((generation_ % 2) * kBlockBytes), block));
  if (flush) RETURN_IF_ERROR(file->sync_data());
  return {};
}

}  // namespace tidemill
