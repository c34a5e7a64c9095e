#include "consumers/archive/verify.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "consumers/archive/text_file.h"
#include "consumers/archive/verify_manifest.h"
#include "storage/base/hash.h"

namespace tidemill {
namespace {

using archive::FileLine;

constexpr std::size_t kReadBytes = 64 << 10;

// A file's bytes, read once from front to end, and their hash.
class Reading {
 public:
  explicit Reading(std::unique_ptr<File> file) : file_(std::move(file)) {}
  // At most n bytes, fewer at the end; until the next call.
  Result<std::string_view> next(std::size_t n) {
    buffer_.erase(0, used_);
    used_ = 0;
    while (buffer_.size() < n) {
      const std::size_t had = buffer_.size();
      buffer_.resize(had + std::max(kReadBytes, n - had));
      const auto got = file_->read_at(ByteOffset(read_), std::as_writable_bytes(std::span(buffer_).subspan(had)));
      buffer_.resize(had + (got ? *got : 0));
      if (!got) return got.error();
      if (*got == 0) break;
      hash_.add(std::string_view(buffer_).substr(had));
      read_ += *got;
    }
    used_ = std::min(n, buffer_.size());
    offset_ += used_;
    return std::string_view(buffer_).substr(0, used_);
  }
  std::uint64_t offset() const { return offset_; }  // behind what next() gave
  std::uint64_t hash() const { return hash_.value(); }

 private:
  std::unique_ptr<File> file_;
  std::string buffer_;
  std::size_t used_ = 0;
  std::uint64_t read_ = 0;
  std::uint64_t offset_ = 0;
  Xxh3Stream hash_;
};

struct UnitState {
  std::string name;
  HashRange range;
  Sequence first, last;  // of the records that it may have
  archive::ManifestContent::Unit said;
  std::size_t at = 0;                // in said.files: the one that is being read, or the next
  std::unique_ptr<Reading> reading;  // of that one
  bool comparing = false;            // line by line; else only size and hash are held against the manifest
  bool bad = false;                  // that has been said; the rest of it is passed
  std::uint64_t lines = 0;
  std::string unfiled_in;  // a run of records that are in no file
  Sequence unfiled_first, unfiled_last;
};

class Verifier final : public ArchiveVerifier {
 public:
  Verifier(FileSystem& files, std::string directory, bool moved_files_ok, FindingSink sink)
      : files_(files), directory_(std::move(directory)), moved_ok_(moved_files_ok), sink_(std::move(sink)) {}

  Result<void> start(const StreamDefinition& definition);
  void records(std::span<const Record> records) override {
    for (const Record& r : records) record(r);
  }
  void lost(Sequence first, Sequence last) override { lost_.push_back({first, last}); }
  VerifiedArchive finish(const LogCut& log) override;

 private:
  Result<void> list(const std::string& below, int depth, std::set<std::string>& into);
  void record(const Record& r);
  void line(UnitState& u, const Record& r);
  bool begin(UnitState& u);
  void complete(UnitState& u);
  void flush_unfiled(UnitState& u);
  void damage(const char* kind, const std::string& path, std::uint64_t offset, Sequence s, const std::string& text) {
    sink_({Finding::Grade::damage, kind, directory_ + "/" + path, ByteOffset(offset), s, s, text});
  }
  bool lost_in(Sequence first, Sequence last) const {
    return std::any_of(lost_.begin(), lost_.end(), [&](const auto& l) { return l.first <= last && first <= l.second; });
  }

  FileSystem& files_;
  const std::string directory_;
  const bool moved_ok_;
  const FindingSink sink_;
  VerifiedArchive out_;
  std::vector<UnitState> units_;
  std::array<std::vector<std::uint32_t>, 256> by_byte_;  // units by the first byte of the hash keys they take
  std::vector<std::pair<Sequence, Sequence>> lost_;
  std::string text_;
};

// What a unit's name says it takes.
std::optional<ShardDefinition> shard_of(const std::string& name, const StreamDefinition& definition) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(name.data() + 1, name.data() + name.size(), number);
  if (name.size() < 2 || error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  if (name[0] == 'l' && number < 16) {
    const std::uint64_t first = std::uint64_t{number} << 60;
    ShardDefinition lane;
    lane.range = {{first, 0}, {first | (~0ull >> 4), ~0ull}};
    return lane;
  }
  for (const ShardDefinition& shard : definition.shards)
    if (name[0] == 's' && shard.id.value() == number) return shard;
  return std::nullopt;
}

Result<void> Verifier::list(const std::string& below, int depth, std::set<std::string>& into) {
  ASSIGN_OR_RETURN(const auto entries, files_.list(directory_ + below));
  for (const DirectoryEntry& e : entries) {
    const std::string path = below + "/" + e.name;
    if (depth > 0 && e.is_directory) RETURN_IF_ERROR(list(path, depth - 1, into));
    if (depth == 0 && !e.is_directory && e.name.ends_with(".txt")) into.insert(path.substr(1));
  }
  return {};
}

Result<void> Verifier::start(const StreamDefinition& definition) {
  if (!exists(files_, directory_)) return {};
  // First the files and then the manifest: a file has its name only after it has its line.
  std::set<std::string> there;
  RETURN_IF_ERROR(list("", 4, there));
  ASSIGN_OR_RETURN(auto manifest, archive::read_manifest(files_, directory_, sink_));
  if (!manifest.header) {
    if (!there.empty() && !exists(files_, directory_ + "/manifest"))
      damage("manifest", "manifest", 0, {}, "There are text files and no manifest.");
    return {};
  }
  if (manifest.header->stream != definition.id) {
    sink_({Finding::Grade::note,
           "leftover",
           directory_ + "/manifest",
           ByteOffset(0),
           {},
           {},
           "The archive is of an earlier stream of this name; the next start moves it aside."});
    return {};
  }
  out_.there = true;
  for (auto& [name, unit] : manifest.units) {
    for (const FileLine& f : unit.files) there.erase(f.path);
    const auto shard = shard_of(name, definition);
    if (!shard) {
      damage("manifest", "manifest", 0, {}, "The manifest names " + name + ", which is no shard of this stream.");
      continue;
    }
    const HashRange& range = shard->range;
    for (std::uint64_t b = range.first.high >> 56; b <= range.last.high >> 56; ++b)
      by_byte_[b].push_back(static_cast<std::uint32_t>(units_.size()));
    UnitState& u = units_.emplace_back();
    u.name = name;
    u.range = range;
    u.first = shard->first_sequence;
    u.last = shard->last_sequence;
    u.said = std::move(unit);
  }
  // With a damaged line nobody knows what the manifest said.
  if (!manifest.damaged)
    for (const std::string& path : there) damage("unnamed", path, 0, {}, "The manifest does not name this text file.");
  return {};
}

void Verifier::record(const Record& r) {
  UnitState* filed = nullptr;
  UnitState* should = nullptr;
  bool noted = false;  // as lost, when it could not be read
  for (const std::uint32_t i : by_byte_[r.hash.high >> 56]) {
    UnitState& u = units_[i];
    if (!u.range.contains(r.hash) || r.sequence < u.first || r.sequence > u.last) continue;
    while (u.at < u.said.files.size() && u.said.files[u.at].last < r.sequence) complete(u);
    if (r.sequence <= u.said.through) should = &u;
    noted |= std::any_of(u.said.lost.begin(), u.said.lost.end(),
                         [&](const auto& l) { return l.first <= r.sequence && r.sequence <= l.last; });
    if (u.at == u.said.files.size() || r.sequence < u.said.files[u.at].first) continue;
    if (filed != nullptr)
      damage("twice", u.said.files[u.at].path, 0, r.sequence,
             "The record belongs to a file of " + filed->name + ", too.");
    filed = &u;
    line(u, r);
  }
  if (filed != nullptr) {
    flush_unfiled(*filed);
  } else if (should == nullptr) {
    ++out_.unfiled;
  } else if (!noted) {
    if (should->unfiled_first == Sequence()) should->unfiled_first = r.sequence;
    should->unfiled_last = r.sequence;
  }
}

void Verifier::flush_unfiled(UnitState& u) {
  if (u.unfiled_first == Sequence()) return;
  sink_({Finding::Grade::damage, "unfiled", directory_ + "/manifest", ByteOffset(0), u.unfiled_first, u.unfiled_last,
         "Records of " + u.name + " in this range are in no text file, and the manifest says that all are filed."});
  u.unfiled_first = u.unfiled_last = Sequence();
}

// Opens the unit's file. False: it cannot be read.
bool Verifier::begin(UnitState& u) {
  const FileLine& f = u.said.files[u.at];
  auto file = files_.open(directory_ + "/" + f.path, OpenMode::read);
  // Its line is on disk before it has its name.
  if (!file) file = files_.open(directory_ + "/" + archive::part_path(f.path), OpenMode::read);
  if (!file) file = files_.open(directory_ + "/" + f.path, OpenMode::read);
  if (!file) {
    const bool moved = moved_ok_ && file.error() == boost::system::errc::no_such_file_or_directory;
    sink_({moved ? Finding::Grade::note : Finding::Grade::damage, "missing", directory_ + "/" + f.path, ByteOffset(0),
           f.first, f.last, "The text file cannot be opened: " + file.error().message() + "."});
    return false;
  }
  u.reading = std::make_unique<Reading>(std::move(*file));
  u.comparing = !lost_in(f.first, f.last);
  u.lines = 0;
  ++out_.files;
  return true;
}

void Verifier::line(UnitState& u, const Record& r) {
  const FileLine& f = u.said.files[u.at];
  if (!u.reading) {
    if (u.bad || !begin(u)) {
      u.bad = true;
      return;
    }
    if (u.comparing && r.sequence != f.first) {
      damage("manifest", "manifest", 0, f.first, "The first record of " + f.path + " is not one of " + u.name + ".");
      u.comparing = false;
    }
  }
  u.comparing = u.comparing && !lost_in(f.first, f.last);
  if (!u.comparing) return;
  archive::encode_line(r, text_);
  const std::uint64_t offset = u.reading->offset();
  const auto got = u.reading->next(text_.size());
  if (got && *got == text_) {
    ++u.lines;
    ++out_.records;
    return;
  }
  u.comparing = false;
  if (!got) {
    damage("unreadable", f.path, offset, {}, "The disk refuses to read: " + got.error().message() + ".");
  } else {
    const auto [mine, theirs] = std::mismatch(got->begin(), got->end(), text_.begin(), text_.end());
    damage("text", f.path, offset + static_cast<std::uint64_t>(mine - got->begin()), r.sequence,
           "The text file does not hold what the log has for this record.");
  }
  u.bad = true;
  u.reading.reset();
}

// The log has no more for the unit's file: the rest of it, and what the manifest says of the whole.
void Verifier::complete(UnitState& u) {
  const FileLine f = u.said.files[u.at];
  const bool met = u.reading != nullptr;  // by a record
  if (met || (!u.bad && begin(u))) {
    const std::uint64_t offset = u.reading->offset();
    Result<std::string_view> rest(std::string_view{});
    do rest = u.reading->next(kReadBytes);
    while (rest && !rest->empty());
    if (!rest) {
      damage("unreadable", f.path, u.reading->offset(), {},
             "The disk refuses to read: " + rest.error().message() + ".");
    } else if (u.comparing && met && u.reading->offset() > offset) {
      damage("text", f.path, offset, {}, "The text file goes on behind the last record that the log has for it.");
    } else if (u.reading->offset() != f.bytes) {
      damage("text", f.path, std::min(u.reading->offset(), f.bytes), {},
             "The text file has " + std::to_string(u.reading->offset()) + " bytes; the manifest says " +
                 std::to_string(f.bytes) + ".");
    } else if (u.reading->hash() != f.hash) {
      damage("text", f.path, 0, {}, "The text file's hash is not what the manifest says.");
    } else if (u.comparing && met && u.lines != f.count) {
      damage("manifest", "manifest", 0, {},
             "The manifest counts " + std::to_string(f.count) + " lines in " + f.path + "; there are " +
                 std::to_string(u.lines) + ".");
    }
  }
  u.reading.reset();
  u.bad = false;
  ++u.at;
}

VerifiedArchive Verifier::finish(const LogCut& log) {
  for (UnitState& u : units_) {
    flush_unfiled(u);
    while (u.at < u.said.files.size()) {
      const FileLine& f = u.said.files[u.at];
      if (f.last > log.last)
        damage("manifest", f.path, 0, f.last, "The manifest names records beyond the end of the log.");
      complete(u);
    }
  }
  return out_;
}

}  // namespace

Result<std::unique_ptr<ArchiveVerifier>> ArchiveVerifier::open(FileSystem& files, std::string directory,
                                                               const StreamDefinition& definition, bool moved_files_ok,
                                                               FindingSink sink) {
  auto verifier = std::make_unique<Verifier>(files, std::move(directory), moved_files_ok, std::move(sink));
  RETURN_IF_ERROR(verifier->start(definition));
  return std::unique_ptr<ArchiveVerifier>(std::move(verifier));
}

}  // namespace tidemill
