#include "consumers/archive/manifest.h"

#include <algorithm>
#include <cerrno>
#include <set>

#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/seam/random.h"

namespace tidemill::archive {
namespace {

constexpr std::size_t kReadBytes = 64 << 10;

bool is_errno(const ErrorCode& error, int value) {
  return error == ErrorCode(value, boost::system::generic_category());
}

bool is_year(const DirectoryEntry& entry) {
  return entry.is_directory && entry.name.size() == 4 &&
         entry.name.find_first_not_of("0123456789") == std::string::npos;
}

Result<void> write_text(File& file, std::uint64_t offset, std::string_view text) {
  return file.write_at(ByteOffset(offset), std::as_bytes(std::span(text)));
}

// A file's lines, read in blocks.
class LineReader {
 public:
  explicit LineReader(File& file) : file_(file) {}

  struct Line {
    std::uint64_t offset;
    std::string_view line;  // without its line feed; until the next call
    bool whole;             // it has one, and is not too long
  };
  // nullopt: the end.
  Result<std::optional<Line>> next() {
    for (;;) {
      const std::string_view rest = std::string_view(buffer_).substr(at_);
      const std::size_t length = std::min(rest.find('\n'), rest.size());
      if (length < rest.size() || length > kLineBytesMax || (end_ && !rest.empty())) {
        const bool whole = length < rest.size() && length <= kLineBytesMax;
        const Line line{offset_ + at_, rest.substr(0, length), whole};
        at_ += length + (length < rest.size() ? 1 : 0);
        return std::optional(line);
      }
      if (end_) return std::optional<Line>();
      offset_ += at_;
      buffer_.erase(0, at_);
      at_ = 0;
      const std::size_t had = buffer_.size();
      buffer_.resize(had + kReadBytes);
      ASSIGN_OR_RETURN(const std::size_t got, file_.read_at(ByteOffset(offset_ + had),
                                                            std::as_writable_bytes(std::span(buffer_).subspan(had))));
      buffer_.resize(had + got);
      end_ = got == 0;
    }
  }

 private:
  File& file_;
  std::string buffer_;
  std::size_t at_ = 0;        // in the buffer
  std::uint64_t offset_ = 0;  // of the buffer in the file
  bool end_ = false;
};

}  // namespace

Result<Manifest::Opened> Manifest::open(Env& env, const std::string& directory, const StreamDefinition& definition,
                                        const std::vector<UnitSpan>& units) {
  Opened opened;
  opened.manifest.reset(new Manifest(env, directory));
  Manifest& manifest = *opened.manifest;
  auto file = env.files.open(manifest.path(), OpenMode::write);
  if (!file && !is_errno(file.error(), ENOENT)) return file.error();
  if (file) {
    manifest.file_ = std::move(*file);
    RETURN_IF_ERROR(manifest.scan(definition, units));
  } else {
    RETURN_IF_ERROR(manifest.create(definition));
  }
  opened.other_stream = manifest.other_stream_;
  if (opened.other_stream) opened.manifest.reset();
  return opened;
}

// Under another name until the header is on disk, so that a manifest always has one.
Result<void> Manifest::create(const StreamDefinition& definition) {
  // There is a manifest before there is an hour: whoever has only hours has lost it, and what they hold with it.
  ASSIGN_OR_RETURN(const auto entries, env_.files.list(directory_));
  if (std::any_of(entries.begin(), entries.end(), is_year)) {
    env_.logger.error("the archive's manifest is missing, and there are text files",
                      {{"stream", text_of(definition.qualified_name())}, {"file", path()}, {"remedy", kAnew}});
    return StorageErrc::damaged;
  }
  const std::string aside = path() + ".new";
  ASSIGN_OR_RETURN(auto file, env_.files.open(aside, OpenMode::open_or_create));
  RETURN_IF_ERROR(file->truncate(0));
  salt_ = env_.random.next();
  const std::string header = encode(0, HeaderLine{kManifestVersion, definition.id, definition.name, salt_}, 0);
  RETURN_IF_ERROR(write_text(*file, 0, header));
  RETURN_IF_ERROR(file->sync_data());
  RETURN_IF_ERROR(env_.files.rename(aside, path()));
  RETURN_IF_ERROR(env_.files.sync_directory(directory_));
  file_ = std::move(file);
  end_ = header.size();
  next_number_ = 1;
  return {};
}

// Each append is flushed before the next begins, so only the very last line can be torn: an invalid one that a valid
// one follows is damage.
Result<void> Manifest::scan(const StreamDefinition& definition, const std::vector<UnitSpan>& units) {
  LineReader reader(*file_);
  constexpr std::uint64_t kNowhere = ~0ull;  // (an optional makes g++ warn of what cannot happen)
  std::uint64_t bad_at = kNowhere;
  bool damaged = false;
  std::set<std::string, std::less<>> heard;  // since the last damage
  for (;;) {
    ASSIGN_OR_RETURN(const auto text, reader.next());
    if (!text) break;
    const auto line = text->whole ? valid_line(text->line) : std::nullopt;
    if (!line) {
      if (bad_at == kNowhere) bad_at = text->offset;
      continue;
    }
    if (bad_at != kNowhere) {
      report_damage(definition, bad_at);
      damaged = true;
      heard.clear();
      bad_at = kNowhere;
    }
    RETURN_IF_ERROR(take(*line, definition));
    if (other_stream_) return {};
    if (const auto* unit = unit_of(line->line)) heard.insert(*unit);
    end_ = text->offset + text->line.size() + 1;
  }
  if (next_number_ == 0) {  // create() makes no such file
    report_damage(definition, 0);
    damaged = true;
  }
  // Who has said something since the damage has said where it is, and who had said all there is to say. Of the others
  // nobody knows whose line was lost.
  const auto is_known = [&](const UnitSpan& unit) {
    return heard.contains(unit.name) || found(unit.name).through >= unit.last;
  };
  if (damaged && !std::all_of(units.begin(), units.end(), is_known)) {
    env_.logger.error("the archive's manifest does not say any more what is filed: nothing is, until that is mended",
                      {{"stream", text_of(definition.qualified_name())}, {"file", path()}, {"remedy", kAnew}});
    return StorageErrc::damaged;
  }
  if (bad_at != kNowhere) {
    env_.logger.warning(
        "dropped the torn last line of the archive's manifest",
        {{"stream", text_of(definition.qualified_name())}, {"file", path()}, {"offset", std::to_string(bad_at)}});
  }
  // The last line, and the file's name, may be in the cache only: whoever wrote them was killed before the flush, or
  // it failed. They decide what is done next, and flushing this file proves nothing after a flush of it that failed.
  return copy_to_new_file();
}

// Numbers only grow: a line of before that stands in a stale block is not taken for one of now.
std::optional<NumberedLine> Manifest::valid_line(std::string_view text) const {
  auto line = decode(text, next_number_ == 0 ? 0 : salt_);
  if (!line || line->number < next_number_) return std::nullopt;
  if (std::holds_alternative<HeaderLine>(line->line) != (next_number_ == 0)) return std::nullopt;
  return line;
}

void Manifest::report_damage(const StreamDefinition& definition, std::uint64_t offset) const {
  env_.logger.error(
      "a line of the archive's manifest is damaged",
      {{"stream", text_of(definition.qualified_name())}, {"file", path()}, {"offset", std::to_string(offset)}});
}

Result<void> Manifest::take(const NumberedLine& line, const StreamDefinition& definition) {
  if (const auto* header = std::get_if<HeaderLine>(&line.line)) {
    if (header->version > kManifestVersion) {
      env_.logger.error("the archive's manifest was written by a later version of Tidemill",
                        {{"stream", text_of(definition.qualified_name())}, {"file", path()}});
      return StorageErrc::layout_too_new;
    }
    salt_ = header->salt;
    if (header->stream != definition.id) other_stream_ = header->stream;
  } else {
    Unit& unit = found_[*unit_of(line.line)];
    unit.through = std::max(unit.through, through_of(line.line));
    const auto* file = std::get_if<FileLine>(&line.line);
    unit.last_file = file != nullptr ? std::optional(*file) : std::nullopt;
    if (file != nullptr) {
      ++unit.filed.files;
      unit.filed.bytes += file->bytes;
    }
  }
  next_number_ = line.number + 1;
  return {};
}

Manifest::Unit Manifest::found(const std::string& unit) const {
  const auto it = found_.find(unit);
  return it != found_.end() ? it->second : Unit();
}

bool Manifest::has_other_kind(char kind) const {
  return std::any_of(found_.begin(), found_.end(), [&](const auto& unit) { return unit.first.front() != kind; });
}

Result<void> Manifest::append(const ManifestLine& line) {
  const std::lock_guard lock(mutex_);
  if (must_copy_) RETURN_IF_ERROR(copy_to_new_file());
  const std::string text = encode(next_number_, line, salt_);
  // A part of it may be there after an error; the next attempt writes over it.
  RETURN_IF_ERROR(write_text(*file_, end_, text));
  if (const auto synced = file_->sync_data(); !synced) {
    must_copy_ = true;
    return synced.error();
  }
  end_ += text.size();
  ++next_number_;
  return {};
}

// At a start, and after a failed flush: what is known goes to a new file, which then takes the name.
Result<void> Manifest::copy_to_new_file() {
  const std::string aside = path() + ".new";
  ASSIGN_OR_RETURN(auto copy, env_.files.open(aside, OpenMode::open_or_create));
  RETURN_IF_ERROR(copy->truncate(0));
  std::string buffer(kReadBytes, '\0');
  for (std::uint64_t at = 0; at < end_;) {
    const auto part = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), end_ - at));
    ASSIGN_OR_RETURN(const std::size_t got, file_->read_at(ByteOffset(at), std::as_writable_bytes(part)));
    if (got == 0) return StorageErrc::damaged;
    RETURN_IF_ERROR(write_text(*copy, at, {part.data(), got}));
    at += got;
  }
  RETURN_IF_ERROR(copy->sync_data());
  RETURN_IF_ERROR(env_.files.rename(aside, path()));
  RETURN_IF_ERROR(env_.files.sync_directory(directory_));
  file_ = std::move(copy);
  must_copy_ = false;
  return {};
}

}  // namespace tidemill::archive
