#include "storage/log/flush_probe.h"

#include <algorithm>
#include <vector>

#include "storage/log/aligned_buffer.h"

namespace tidemill {
namespace {

constexpr std::uint32_t kFlushes = 64;
constexpr std::chrono::milliseconds kTimeMax{100};

Result<FlushTime> measure(File& file, Clock& clock) {
  const MonotonicTime begin = clock.monotonic();
  std::vector<std::byte> bytes(kFlushes * kBlockBytes);  // zeros, as a segment is filled before it is used
  RETURN_IF_ERROR(file.truncate(0));
  RETURN_IF_ERROR(file.write_at(ByteOffset(0), bytes));
  RETURN_IF_ERROR(file.sync_data());
  std::fill(bytes.begin(), bytes.begin() + kBlockBytes, std::byte{0x5a});

  std::vector<std::chrono::nanoseconds> took;
  MonotonicTime now = clock.monotonic();
  do {
    const MonotonicTime before = now;
    RETURN_IF_ERROR(file.write_at(ByteOffset(took.size() * kBlockBytes), std::span(bytes).first(kBlockBytes)));
    RETURN_IF_ERROR(file.sync_data());
    now = clock.monotonic();
    took.push_back(now - before);
  } while (took.size() < kFlushes && now - begin < kTimeMax);
  std::sort(took.begin(), took.end());
  return FlushTime{static_cast<std::uint32_t>(took.size()), took[took.size() / 2], took.back()};
}

}  // namespace

Result<FlushTime> probe_flush(FileSystem& files, Clock& clock, const std::string& directory) {
  const std::string path = directory + "/" + kFlushProbeFile;
  auto file = files.open(path, OpenMode::open_or_create);  // a crash may have left one
  if (!file) return file.error();
  auto measured = measure(**file, clock);
  file->reset();
  if (auto removed = files.remove(path); !removed && measured) return removed.error();
  return measured;
}

}  // namespace tidemill
