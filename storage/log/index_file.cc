#include "storage/log/index_file.h"

#include <algorithm>

#include "storage/log/bytes.h"
#include "storage/log/checksum.h"

namespace tidemill {
namespace {

constexpr std::size_t kPageHeaderBytes = 32;
static_assert(kPageHeaderBytes + kIndexPageEntries * kIndexEntryBytes == kBlockBytes);

}  // namespace

// Page 0 says how much there is; entries begin on page 1. Each page carries its number and is checksummed with the
// segment's salt, so a page that was never written out (the file is not flushed) cannot pass for one.
std::vector<std::byte> make_index(std::span<const IndexEntry> entries, std::uint64_t salt, ByteOffset end) {
  const std::size_t pages = (entries.size() + kIndexPageEntries - 1) / kIndexPageEntries;
  std::vector<std::byte> file((pages + 1) * kBlockBytes);
  const auto seal = [&](std::size_t page) {
    const std::span<std::byte> block = std::span(file).subspan(page * kBlockBytes, kBlockBytes);
    ByteWriter(block.data()).u64(checksum(block.subspan(8), salt));
  };
  ByteWriter top(file.data() + 8);
  top.u64(kIndexMagic);
  top.u64(0);  // page number
  top.u16(kIndexVersion);
  top.u16(0);
  top.u32(0);
  top.u64(entries.size());
  top.u64(end.value());
  seal(0);
  for (std::size_t page = 1; page <= pages; ++page) {
    ByteWriter out(file.data() + page * kBlockBytes + 8);
    const auto part = entries.subspan((page - 1) * kIndexPageEntries);
    const std::size_t n = std::min(part.size(), kIndexPageEntries);
    out.u64(kIndexMagic);
    out.u64(page);
    out.u16(kIndexVersion);
    out.u16(0);
    out.u32(static_cast<std::uint32_t>(n));
    for (const IndexEntry& e : part.first(n)) {
      out.u64(e.first.value());
      out.u64(e.offset.value());
      out.i64(e.running_max.time_since_epoch().count());
      out.u32(e.count);
      out.u16(e.hash_mask);
      out.u16(0);
    }
    seal(page);
  }
  return file;
}

bool IndexFile::load(std::uint64_t page) {
  if (page == page_) return true;
  page_ = ~0ull;
  const std::span<std::byte> block(buffer_.reserve(kBlockBytes), kBlockBytes);
  const auto n = file_->read_at(ByteOffset(page * kBlockBytes), block);
  if (!n || *n != kBlockBytes) return false;
  ByteReader in(block);
  if (in.u64() != checksum(block.subspan(8), salt_)) return false;
  if (in.u64() != kIndexMagic || in.u64() != page || in.u16() != kIndexVersion) return false;
  page_ = page;
  return true;
}

std::optional<IndexFile> IndexFile::open(FileSystem& fs, const std::string& path, std::uint64_t salt, ByteOffset end) {
  auto file = fs.open(path, OpenMode::read);
  if (!file) return std::nullopt;
  IndexFile index(std::move(*file), salt);
  if (!index.load(0)) return std::nullopt;
  ByteReader in(std::span(index.buffer_.data(), kBlockBytes).subspan(32));
  index.entries_ = in.u64();
  if (in.u64() != end.value()) return std::nullopt;
  return index;
}

std::optional<IndexEntry> IndexFile::at(std::uint64_t i) {
  if (i >= entries_ || !load(1 + i / kIndexPageEntries)) return std::nullopt;
  const std::size_t offset = kPageHeaderBytes + (i % kIndexPageEntries) * kIndexEntryBytes;
  ByteReader in(std::span<const std::byte>(buffer_.data(), kBlockBytes).subspan(offset, kIndexEntryBytes));
  IndexEntry e;
  e.first = Sequence(in.u64());
  e.offset = ByteOffset(in.u64());
  e.running_max = WallTime(std::chrono::milliseconds(in.i64()));
  e.count = in.u32();
  e.hash_mask = in.u16();
  return e;
}

}  // namespace tidemill
