// What lies beside the segments, checksums made right: index, durable mark, request snapshot, a segment's header.
#include "storage/log/index_file.h"
#include "storage/log/mark_file.h"
#include "storage/log/request_snapshot.h"
#include "storage/log/segment_format.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/sim_env.h"

using namespace tidemill;

namespace {

void put(SimFileSystem& files, const std::string& path, std::span<const std::byte> bytes) {
  auto file = files.open(path, OpenMode::create);
  CHECK(file && (*file)->write_at(ByteOffset(0), bytes));
}

void index(std::span<std::byte> bytes) {
  for (std::size_t at = 0; at + kBlockBytes <= bytes.size(); at += kBlockBytes) {
    std::memcpy(bytes.data() + at + 8, &kIndexMagic, 8);
    seal(bytes.subspan(at, kBlockBytes), 7);
  }
  SimFileSystem files(1);
  put(files, "/x.idx", bytes);
  auto opened = IndexFile::open(files, "/x.idx", 7, ByteOffset(1 << 22));
  if (!opened) return;
  for (const std::uint64_t s : {1, 77, 300, 100'000})
    (void)opened->lower_bound([&](const IndexEntry& e) { return e.first.value() < s; });
  (void)opened->at(0);
  (void)opened->at(opened->entries());
}

void snapshot(std::span<std::byte> bytes) {
  const std::uint64_t seed = kRequestsMagic ^ 5;
  if (bytes.size() < 64) return;
  std::memcpy(bytes.data() + 8, &kRequestsMagic, 8);
  seal(bytes.first(64), seed);
  for (std::size_t at = 64; at + 24 <= bytes.size();) {
    const std::uint64_t payload = number_at<std::uint32_t>(bytes, at + 16);
    if (at + 24 + payload > bytes.size()) break;
    seal(bytes.subspan(at, 24 + payload), seed);
    at += 24 + payload;
  }
  SimFileSystem files(1);
  put(files, "/requests", bytes);
  RequestWindow window(100);
  const bool whole = read_snapshot(files, "/", Incarnation(5), window, 100).has_value();
  CHECK(whole || window.size() == 0);
  CHECK(window.size() <= 100);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto from = bytes_of(data + 1, size - 1);
  std::vector<std::byte> bytes(from.begin(), from.end());
  if (data[0] % 4 != 2) bytes.resize((bytes.size() + kBlockBytes - 1) / kBlockBytes * kBlockBytes);
  switch (data[0] % 4) {
    case 0:
      index(bytes);
      break;
    case 1:
      std::memcpy(bytes.data() + 8, &kMarkMagic, 8);
      seal(std::span(bytes).first(kBlockBytes), kMarkMagic);
      (void)read_mark_slot(std::span(bytes).first(kBlockBytes));
      break;
    case 2:
      snapshot(bytes);
      break;
    default:
      std::memcpy(bytes.data() + 8, &kSegmentMagic, 8);
      seal(std::span(bytes).first(kBlockBytes), number_at<std::uint64_t>(bytes, 32));
      (void)read_segment_header(std::span(bytes).first(kBlockBytes));
      (void)parse_segment_file_name(text_of(data + 1, size - 1));
  }
  return 0;
}
