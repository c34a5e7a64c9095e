#include "storage/log/commit_reader.h"
#include "tests/fuzz/fuzz.h"

namespace tidemill {

void seal_commit(std::span<std::byte> bytes, std::uint64_t salt) {
  const auto shape = commit_shape(bytes);
  if (!shape || shape->header_bytes > bytes.size()) return;
  const std::size_t length = std::min<std::size_t>(shape->length, bytes.size());
  const std::size_t lanes = number_at<std::uint16_t>(bytes, 78);
  const std::size_t table = shape->header_bytes - lanes * kLaneEntryBytes;
  for (std::size_t i = 0; i < lanes && lanes <= kLanesMax && lanes * kLaneEntryBytes <= shape->header_bytes; ++i) {
    const std::size_t entry = table + i * kLaneEntryBytes;
    const std::size_t offset = number_at<std::uint32_t>(bytes, entry + 8);
    const std::size_t stored =
        i + 1 == lanes ? length - std::min(length, offset) : number_at<std::uint32_t>(bytes, entry + 12);
    if (offset > length || stored > length - offset) continue;
    const std::uint64_t sum = checksum(bytes.subspan(offset, stored), salt);
    std::memcpy(bytes.data() + entry + 24, &sum, sizeof sum);
  }
  seal(bytes.first(shape->header_bytes), salt);
}

}  // namespace tidemill
