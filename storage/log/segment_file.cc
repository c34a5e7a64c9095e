#include "storage/log/segment_file.h"

#include <algorithm>
#include <array>

#include "storage/base/check.h"
#include "storage/base/errors.h"

namespace tidemill {
namespace {

constexpr std::uint64_t kStepBytes = 4 << 20;
alignas(kBlockBytes) constexpr std::array<std::byte, 64 << 10> kZeros{};

}  // namespace

Result<std::shared_ptr<SegmentFile>> open_segment(FileSystem& fs, const std::string& directory, const SegmentName& name,
                                                  OpenMode mode, std::optional<Incarnation> incarnation,
                                                  Logger& logger) {
  auto segment = std::make_shared<SegmentFile>();
  segment->name = name;
  segment->path = directory + "/" + segment_file_name(name);
  ASSIGN_OR_RETURN(segment->file, fs.open(segment->path, mode));
  AlignedBuffer buffer;
  ErrorCode read_error;
  int newer = 0;
  bool found = false;
  for (std::uint64_t copy = 0; copy < 2; ++copy) {
    const std::span<std::byte> block(buffer.reserve(kBlockBytes), kBlockBytes);
    const auto n = segment->file->read_at(ByteOffset(copy * kBlockBytes), block);
    if (!n) {
      read_error = n.error();
      continue;
    }
    auto header = *n == kBlockBytes ? read_segment_header(block) : std::nullopt;
    if (*n == kBlockBytes && segment_version(block) > kSegmentVersion) ++newer;
    if (!header || header->id != name.id || header->first != name.first ||
        (incarnation && header->incarnation != *incarnation)) {
      logger.error("a copy of a segment's header is damaged",
                   {{"file", segment->path}, {"offset", std::to_string(copy * kBlockBytes)}});
      continue;
    }
    if (!found) segment->header = std::move(*header);
    found = true;
  }
  if (found) return segment;
  if (newer == 2) return make_error_code(StorageErrc::layout_too_new);
  if (read_error) return read_error;
  return make_error_code(StorageErrc::damaged);
}

SegmentFill::SegmentFill(FileSystem& fs, std::string path, std::uint64_t bytes, std::unique_ptr<File> file)
    : fs_(fs), path_(std::move(path)), bytes_(bytes), file_(std::move(file)) {}

SegmentFill::~SegmentFill() {
  if (!file_) return;
  file_.reset();
  // What cannot be removed now is removed at the next start.
  static_cast<void>(fs_.remove(path_).has_value());
}

Result<std::shared_ptr<SegmentFill>> SegmentFill::create(FileSystem& fs, std::string path, std::uint64_t bytes) {
  CHECK(bytes % kBlockBytes == 0 && bytes > kSegmentHeaderBytes);
  ASSIGN_OR_RETURN(auto file, fs.open(path, OpenMode::create));
  return std::shared_ptr<SegmentFill>(new SegmentFill(fs, std::move(path), bytes, std::move(file)));
}

Result<void> SegmentFill::step() {
  const std::uint64_t end = std::min(bytes_, written_ + kStepBytes);
  const std::uint64_t begin = written_;
  while (written_ < end) {
    const std::size_t n = std::min<std::uint64_t>(kZeros.size(), end - written_);
    RETURN_IF_ERROR(file_->write_at(ByteOffset(written_), std::span(kZeros).first(n)));
    written_ += n;
  }
  file_->start_writeback(ByteOffset(begin), end - begin);
  return {};
}

Result<void> SegmentFill::sync() {
  CHECK(written_ == bytes_);
  RETURN_IF_ERROR(file_->sync_data());
  synced_ = true;
  return {};
}

SegmentFill::PutToUse SegmentFill::put_to_use(const std::string& directory, SegmentHeader header,
                                              std::span<const std::byte> commit) {
  CHECK(written_ == bytes_);
  CHECK(kSegmentHeaderBytes + commit.size() <= bytes_);
  header.bytes = bytes_;
  AlignedBuffer buffer;
  const std::span<std::byte> front(buffer.reserve(kSegmentHeaderBytes), kSegmentHeaderBytes);
  write_segment_header(header, front);
  if (auto r = file_->write_at(ByteOffset(0), front); !r) return {nullptr, r.error(), false};
  if (!commit.empty()) {
    if (auto r = file_->write_at(ByteOffset(kSegmentHeaderBytes), commit); !r) return {nullptr, r.error(), false};
  }
  if (auto r = file_->sync_data(); !r) return {nullptr, r.error(), true};

  auto segment = std::make_shared<SegmentFile>();
  segment->name = {header.id, header.first};
  segment->path = directory + "/" + segment_file_name(segment->name);
  if (auto r = fs_.rename(path_, segment->path); !r) return {nullptr, r.error(), true};
  segment->file = std::move(file_);
  if (auto r = fs_.sync_directory(directory); !r) return {nullptr, r.error(), true};
  segment->header = std::move(header);
  return {std::move(segment), {}, false};
}

}  // namespace tidemill
