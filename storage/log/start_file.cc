#include "storage/log/start_file.h"

#include <algorithm>

#include "storage/base/check.h"
#include "storage/log/bytes.h"
#include "storage/log/checksum.h"

namespace tidemill {

void write_start_slot(const LogStart& start, std::span<std::byte> block) {
  CHECK(block.size() == kBlockBytes);
  ByteWriter out(block.data() + 8);
  out.u64(kStartMagic);
  out.u16(kStartVersion);
  out.zeros(6);
  out.u64(start.generation);
  out.u64(start.incarnation.value());
  out.u64(start.start.value());
  out.u64(start.segment.value());
  out.zeros(static_cast<std::size_t>(block.data() + kBlockBytes - out.at()));
  ByteWriter(block.data()).u64(checksum(block.subspan(8), kStartMagic));
}

std::optional<LogStart> read_start_slot(std::span<const std::byte> block) {
  if (block.size() != kBlockBytes) return std::nullopt;
  ByteReader in(block);
  if (in.u64() != checksum(block.subspan(8), kStartMagic)) return std::nullopt;
  if (in.u64() != kStartMagic || in.u16() != kStartVersion) return std::nullopt;
  in.u16();
  in.u32();
  LogStart start;
  start.generation = in.u64();
  start.incarnation = Incarnation(in.u64());
  start.start = Sequence(in.u64());
  start.segment = SegmentId(in.u64());
  return start;
}

StartFile::StartFile(FileSystem& fs, const std::string& directory)
    : fs_(fs), directory_(directory), path_(directory + "/" + std::string(kStartFileName)) {}

Result<StartFile::Found> StartFile::read() {
  Found found;
  auto file = fs_.open(path_, OpenMode::read);
  if (!file) {
    if (file.error() == boost::system::errc::no_such_file_or_directory) return found;
    return file.error();
  }
  found.exists = true;
  const std::span<std::byte> block(buffer_.reserve(kBlockBytes), kBlockBytes);
  for (std::uint64_t slot = 0; slot < 2; ++slot) {
    // An error here is not a missing start: taken for one, it would make damage of what retention has removed.
    ASSIGN_OR_RETURN(const std::size_t n, (*file)->read_at(ByteOffset(slot * kBlockBytes), block));
    const auto start = read_start_slot(block.first(n));
    if (start && (!found.start || found.start->generation < start->generation)) found.start = start;
    const auto some = block.first(n);
    if (!start && std::any_of(some.begin(), some.end(), [](std::byte b) { return b != std::byte{0}; })) ++found.damaged;
  }
  if (found.start) generation_ = found.start->generation;
  return found;
}

Result<void> StartFile::write(LogStart start) {
  if (failed_) return failed_;
  auto written = write_slot(start);
  if (!written) failed_ = written.error();
  return written;
}

Result<void> StartFile::write_slot(LogStart start) {
  if (!file_) {
    ASSIGN_OR_RETURN(file_, fs_.open(path_, OpenMode::open_or_create));
    // Both slots from the first on, so that a write never changes the size.
    ASSIGN_OR_RETURN(const std::uint64_t size, file_->size());
    if (size < 2 * kBlockBytes) {
      const std::span<std::byte> zeros(buffer_.reserve(kBlockBytes), kBlockBytes);
      std::fill(zeros.begin(), zeros.end(), std::byte{0});
      for (std::uint64_t at = size / kBlockBytes; at < 2; ++at)
        RETURN_IF_ERROR(file_->write_at(ByteOffset(at * kBlockBytes), zeros));
    }
  }
  const std::span<std::byte> block(buffer_.reserve(kBlockBytes), kBlockBytes);
  for (int copy = 0; copy < 2; ++copy) {
    start.generation = ++generation_;
    write_start_slot(start, block);
    RETURN_IF_ERROR(file_->write_at(ByteOffset((generation_ % 2) * kBlockBytes), block));
    RETURN_IF_ERROR(file_->sync_data());
  }
  return fs_.sync_directory(directory_);
}

}  // namespace tidemill
