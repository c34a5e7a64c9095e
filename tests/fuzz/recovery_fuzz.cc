// A log's whole directory with bytes changed in any of its files, checksums made right or not; files cut, gone or there
// twice. The log opens or says why not, is read through, takes records, is closed and opened again.
#include <map>

#include "storage/log/mark_file.h"
#include "storage/log/segment_file.h"
#include "tests/fuzz/fuzz.h"
#include "tests/storage/log/log_world.h"

using namespace tidemill;

namespace {

using Files = std::map<std::string, std::string>;

LogOptions small_log() {
  LogOptions options;
  options.segment_bytes_first = options.segment_bytes_max = 16 << 10;
  options.commit_bytes_max = 8 << 10;
  options.tail_cache_bytes = 4 << 10;
  options.request_window = 20;
  return options;
}

const Files& image() {
  static const Files files = [] {
    LogWorld w;
    w.options = small_log();
    w.open();
    for (int i = 0; i < 9; ++i) {
      w.append(static_cast<std::size_t>(1 + i % 4), i % 3 == 0 ? 700 : 60, i % 2 == 0 ? "key" + std::to_string(i) : "");
    }
    w.sim.executor.run_for(std::chrono::milliseconds(300));
    w.close();
    Files out;
    for (const std::string& path : w.sim.files.all_files()) out[path] = *w.sim.files.content(path);
    return out;
  }();
  return files;
}

void make_right(const std::string& path, std::string& text) {
  const auto bytes = std::as_writable_bytes(std::span(text));
  if (path.ends_with(".seg") && bytes.size() >= 2 * kBlockBytes) {
    const auto salt = number_at<std::uint64_t>(bytes, 32);
    for (const std::size_t copy : {0u, 1u}) seal(bytes.subspan(copy * kBlockBytes, kBlockBytes), salt);
    for (std::size_t at = 2 * kBlockBytes; at + kBlockBytes <= bytes.size(); at += kBlockBytes) {
      seal_commit(bytes.subspan(at), salt);
    }
  } else if (path.ends_with("mark")) {
    for (std::size_t at = 0; at + kBlockBytes <= bytes.size(); at += kBlockBytes)
      seal(bytes.subspan(at, kBlockBytes), kMarkMagic);
  }
}

void put(SimFileSystem& files, const std::string& path, const std::string& bytes) {
  CHECK(create_directories(files, path.substr(0, path.rfind('/'))));
  auto file = files.open(path, OpenMode::open_or_create);
  CHECK(file && (*file)->write_at(ByteOffset(0), std::as_bytes(std::span(bytes))));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider in(data, size);
  Files files = image();
  for (int edits = 0; edits < 12 && in.remaining_bytes() > 0; ++edits) {
    auto it = files.begin();
    std::advance(it, in.ConsumeIntegralInRange<std::size_t>(0, files.size() - 1));
    auto& [path, bytes] = *it;
    switch (in.ConsumeIntegralInRange<int>(0, 7)) {
      case 0:
        bytes.resize(in.ConsumeIntegralInRange<std::size_t>(0, bytes.size()));
        break;
      case 1:
        if (files.size() > 1) files.erase(it);
        break;
      case 2: {  // the same bytes under another segment's number
        const std::string name = path;
        const auto slash = name.rfind('/') + 1;
        if (!name.ends_with(".seg")) break;
        const SegmentName other{SegmentId(in.ConsumeIntegralInRange<std::uint64_t>(0, 9)),
                                Sequence(in.ConsumeIntegralInRange<std::uint64_t>(0, 40))};
        files[name.substr(0, slash) + segment_file_name(other)] = std::string(bytes);
        break;
      }
      default: {
        if (bytes.empty()) break;
        // Most often where something stands: the first bytes of a block.
        std::size_t at = in.ConsumeIntegralInRange<std::size_t>(0, bytes.size() - 1);
        if (in.ConsumeBool()) at = at / kBlockBytes * kBlockBytes + at % 128;
        const std::string with = in.ConsumeBytesAsString(in.ConsumeIntegralInRange<std::size_t>(1, 8));
        for (std::size_t i = 0; i < with.size() && at + i < bytes.size(); ++i) bytes[at + i] = with[i];
        if (in.ConsumeBool()) make_right(path, bytes);
      }
    }
  }
  SimEnv sim(1);
  for (const auto& [path, bytes] : files) put(sim.files, path, bytes);
  for (int life = 0; life < 2; ++life) {
    auto opened = Log::open(sim.env, "/data/streams/1", small_log());
    if (!opened) break;
    const auto log = *opened;
    Sequence at = log->start();
    Sequence before;
    while (at <= log->durable()) {
      const auto batch = log->read(at, {});
      if (!batch) break;
      CHECK(batch->next > at);
      for (const Record& r : batch->records) {
        CHECK(r.sequence > before && r.sequence <= log->durable());
        before = r.sequence;
      }
      at = batch->next;
    }
    (void)log->find(sim.clock.wall());
    TestRequest request;
    NewRecord record;
    record.data = "{}";
    request.append.records = {&record, 1};
    request.append.identity = LogWorld::identity("key2");
    log->append(&request.append);
    sim.executor.run_for(std::chrono::milliseconds(300));
    CHECK(request.answers == 1);
    bool closed = false;
    log->close([&] { closed = true; });
    CHECK(sim.executor.run_until([&] { return closed; }));
    sim.executor.run_until_idle();
  }
  sim.power_off();
  sim.executor.drop_all();
  return 0;
}
