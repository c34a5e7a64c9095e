// What rots on the disk, or was never ours: flipped bits, cut files, valid bytes from elsewhere. A small log that was
// closed cleanly is damaged in one place; then every record that is served must be the right one, every one that is not
// must be reported as lost, and the damage must be named.
#include "storage/log/segment_file.h"
#include "storage/log/verify_log.h"
#include "tests/campaigns/campaign.h"
#include "tests/storage/log/log_world.h"
#include "tests/support/capture_logger.h"

namespace tidemill {
namespace {

constexpr std::uint64_t kSmall = 16 << 10;
constexpr std::uint64_t kLarge = 1 << 20;

struct Image {
  std::uint64_t segment_bytes = kSmall;
  std::map<std::string, std::string> files;
  std::map<std::uint64_t, std::string> records;
};

LogOptions log_of(std::uint64_t segment_bytes) {
  LogWorld defaults;
  LogOptions options = defaults.options;
  options.segment_bytes_first = segment_bytes;
  options.segment_bytes_max = segment_bytes;
  options.commit_bytes_max = 8 << 10;
  options.request_window = 20;
  return options;
}

void write(SimFileSystem& files, const std::string& path, const std::string& bytes) {
  const std::string directory = path.substr(0, path.find_last_of('/'));
  ASSERT_TRUE(create_directories(files, directory));
  auto file = files.open(path, OpenMode::create);
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->write_at(ByteOffset(0), std::as_bytes(std::span(bytes))));
  ASSERT_TRUE((*file)->sync_data());
  ASSERT_TRUE(files.sync_directory(directory));
}

// A life of a small log that went on from `before`: small commits and large ones, keyed requests, until there are
// `segments` of them and a few records more. Each life has records of its own.
Image live(std::uint64_t seed, const Image& before, std::size_t segments) {
  LogWorld w(seed);
  w.options = log_of(before.segment_bytes);
  w.made = seed * 1'000;
  for (const auto& [path, bytes] : before.files) write(w.sim.files, path, bytes);
  w.open();
  for (int i = 0; w.files(".seg").size() < segments && i < 4'000; ++i) {
    const std::string key = "life" + std::to_string(seed) + "-" + std::to_string(i);
    w.append(1 + i % 5, i % 3 == 0 ? 700 : 60, i % 2 == 0 ? key : "");
  }
  w.append(3);
  w.append(2);
  w.sim.executor.run_for(std::chrono::milliseconds(300));
  w.close();
  Image image;
  image.segment_bytes = before.segment_bytes;
  image.records = before.records;
  image.records.insert(w.acknowledged.begin(), w.acknowledged.end());
  for (const std::string& path : w.sim.files.all_files()) image.files[path] = *w.sim.files.content(path);
  return image;
}

const Image& first_image() {
  static const Image image = live(1, {}, 2);
  return image;
}

const Image& large_image() {
  static const Image image = [] {
    Image empty;
    empty.segment_bytes = kLarge;
    return live(1, empty, 2);
  }();
  return image;
}

// What `tidemill verify` says of the files as they are.
std::vector<Finding> verified(LogWorld& w) {
  std::vector<Finding> found;
  const std::uint64_t steps = w.sim.files.steps();
  const auto facts = verify_log(w.sim.files, w.directory, {}, [&](const Finding& f) { found.push_back(f); });
  EXPECT_TRUE(facts || facts.error() == StorageErrc::layout_too_new) << facts.error().message();
  EXPECT_EQ(w.sim.files.steps(), steps) << "verify altered something";
  if (!facts) found.push_back({Finding::Grade::damage, "version", {}, {}, {}, {}, {}});
  return found;
}

// Opens the files as they are and compares what it serves with what should be there. `named`: the damage must be said
// even where nothing is lost by it.
// `where`: verify must find it there.
void expect_honest(const Image& image, bool named, const std::pair<std::string, std::uint64_t>* where = nullptr) {
  CaptureLogger log;
  LogWorld w(5, log);
  w.options = log_of(image.segment_bytes);
  w.reads_may_fail = true;
  for (const auto& [path, bytes] : image.files) ASSERT_NO_FATAL_FAILURE(write(w.sim.files, path, bytes));
  const auto found = verified(w);
  const auto is_damage = [](const Finding& f) { return f.grade == Finding::Grade::damage; };
  if (where != nullptr) {
    const bool met = std::any_of(found.begin(), found.end(), [&](const Finding& f) {
      return f.kind == "version" ||
             (f.file == where->first && f.offset.value() <= where->second && (is_damage(f) || !named));
    });
    ASSERT_TRUE(met) << "verify does not name it";
  }
  if (!w.try_open()) {  // said, and nothing served
    ASSERT_TRUE(w.open_error == StorageErrc::damaged) << w.open_error.message();
    return;
  }
  const auto read = w.read_all();
  bool whole = true;
  for (const auto& [sequence, text] : read.records) {
    const auto right = image.records.find(sequence);
    ASSERT_TRUE(right != image.records.end()) << "record " << sequence << " was never written";
    ASSERT_TRUE(right->second == text) << "record " << sequence << " is another one";
  }
  for (const auto& [sequence, text] : image.records) {
    if (read.records.contains(sequence)) continue;
    whole = false;
    const bool reported = std::any_of(read.lost.begin(), read.lost.end(), [s = sequence](const LostRange& lost) {
      return lost.first.value() <= s && s <= lost.last.value();
    });
    ASSERT_TRUE(reported) << "record " << sequence << " is gone and nobody says so";
  }
  if (!whole) {
    ASSERT_TRUE(std::any_of(found.begin(), found.end(), is_damage)) << "lost records, and verify found nothing";
    ASSERT_FALSE(w.log->status().damage.empty()) << "lost records, and no place is named";
  } else if (named) {
    ASSERT_GT(log.count("damage") + log.count("error: "), 0u) << "damage that nobody names";
  }
  ASSERT_TRUE(w.append(1).ok()) << "and it goes on";
}

// Whether it is a byte of a segment's header or of a commit: all of them are under a checksum.
bool counts(const Image& image, const std::string& path, std::uint64_t offset) {
  if (!path.ends_with(".seg")) return false;
  const std::size_t last = image.files.at(path).find_last_not_of('\0');
  return offset / kBlockBytes <= last / kBlockBytes;
}

// File and offset of trial number `trial`, counted through all files of the image; nothing behind the last.
std::optional<std::pair<std::string, std::uint64_t>> place(const Image& image, std::uint64_t trial) {
  std::uint64_t at = trial - 1;
  for (const auto& [path, bytes] : image.files) {
    if (path.ends_with("/lock")) continue;
    if (at < bytes.size()) return std::pair(path, at);
    at -= bytes.size();
  }
  return std::nullopt;
}

}  // namespace

namespace {

void flip(const Image& whole, const std::pair<std::string, std::uint64_t>& where, std::uint64_t bit) {
  SCOPED_TRACE(where.first + ", byte " + std::to_string(where.second) + ", bit " + std::to_string(bit));
  Image image = whole;
  char& byte = image.files[where.first][where.second];
  byte = static_cast<char>(byte ^ (1 << bit));
  const bool named = counts(whole, where.first, where.second);
  expect_honest(image, named, named || !where.first.ends_with(".seg") ? &where : nullptr);
}

}  // namespace

Campaign bit_flip_campaign() {
  return {"bit-flips", "flips", "every bit of a small log's files is flipped: segments, index, mark, request window",
          ~0ull, [](std::uint64_t trial) -> std::uint64_t {
            const auto where = place(first_image(), trial);
            if (!where) return 0;
            for (std::uint64_t bit = 0; bit < 8; ++bit) flip(first_image(), *where, bit);
            return 8;
          }};
}

Campaign large_bit_flip_campaign() {
  return {"bit-flips-1mib", "flips", "the same of a log with segments of 1 MiB, spread over it: run it for a while",
          ~0ull, [](std::uint64_t trial) -> std::uint64_t {
            static const std::uint64_t bits = [] {
              std::uint64_t bytes = 0;
              for (std::uint64_t n = 1; place(large_image(), n); n += kBlockBytes) bytes = n;
              while (place(large_image(), bytes + 1)) ++bytes;
              return 8 * bytes;
            }();
            if (trial > bits) return 0;
            constexpr std::uint64_t kStep = 7'368'787;  // a prime that divides no number of bits here: each comes once
            const std::uint64_t at = trial * kStep % bits;
            flip(large_image(), *place(large_image(), at / 8 + 1), at % 8);
            return 1;
          }};
}

Campaign truncation_campaign() {
  return {"truncations", "cuts", "every file of a small log ends at every byte", ~0ull,
          [](std::uint64_t trial) -> std::uint64_t {
            const auto where = place(first_image(), trial);
            if (!where) return 0;
            SCOPED_TRACE(where->first + " ends at " + std::to_string(where->second));
            Image image = first_image();
            image.files[where->first].resize(where->second);
            expect_honest(image, false);
            return 1;
          }};
}

namespace {

struct DiskBlock {
  std::string path, bytes;
  std::uint64_t offset;
};

std::vector<DiskBlock> blocks_of(const Image& image) {
  std::vector<DiskBlock> out;
  for (const auto& [path, bytes] : image.files) {
    for (std::uint64_t at = 0; at + kBlockBytes <= bytes.size(); at += kBlockBytes)
      out.push_back({path, bytes.substr(at, kBlockBytes), at});
  }
  return out;
}

// What stands where it was not written, though all of it was valid once: blocks from elsewhere in the log, from another
// log, and from another life of this one (the same log went on from the same moment with other records); and another
// log's files under the right names.
struct Splices {
  Image image = live(11, first_image(), 3);
  Image other_life = live(12, first_image(), 3);
  Image other_log = live(2, {}, 2);
  std::vector<DiskBlock> here = blocks_of(image);
  std::vector<DiskBlock> sources;
  std::vector<std::string> files;

  Splices() {
    for (const Image* from : {&image, &other_life, &other_log}) {
      for (DiskBlock& block : blocks_of(*from)) sources.push_back(std::move(block));
    }
    for (const auto& [path, bytes] : other_log.files) {
      if (image.files.contains(path) && !path.ends_with("/lock")) files.push_back(path);
    }
  }
};

}  // namespace

Campaign splice_campaign() {
  return {"splices", "splices",
          "valid blocks and files from elsewhere stand in a log: from another log or another life", ~0ull,
          [](std::uint64_t trial) -> std::uint64_t {
            static const Splices splices;
            Image image = splices.image;
            const std::uint64_t n = trial - 1;
            const std::uint64_t blocks = splices.here.size() * splices.sources.size();
            std::string what;
            if (n < blocks) {
              const DiskBlock& target = splices.here[n / splices.sources.size()];
              const DiskBlock& source = splices.sources[n % splices.sources.size()];
              what = "block " + std::to_string(n % splices.sources.size()) + ", of " + source.path + " at " +
                     std::to_string(source.offset) + ", in " + target.path + " at " + std::to_string(target.offset);
              image.files[target.path].replace(target.offset, kBlockBytes, source.bytes);
            } else if (n < blocks + splices.files.size()) {
              const std::string& path = splices.files[n - blocks];
              what = "the other log's " + path;
              image.files[path] = splices.other_log.files.at(path);
            } else {
              return 0;
            }
            SCOPED_TRACE(what);
            expect_honest(image, false);
            return 1;
          }};
}

}  // namespace tidemill
