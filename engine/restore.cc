#include <algorithm>
#include <chrono>
#include <limits>
#include <set>

#include "engine/backup.h"
#include "engine/backup_files.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/log/mark_file.h"
#include "storage/log/segment_file.h"
#include "storage/log/segment_scanner.h"
#include "storage/log/start_file.h"
#include "storage/seam/clock.h"
#include "storage/seam/random.h"

namespace tidemill {
namespace {

constexpr std::uint64_t kAll = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t kReadBytes = 1 << 20;

// An epoch that no life of these logs after the backup can have had. Each start raises it by one, and starts are more
// than a second apart: seconds outrun them. Where the clock is wrong, chance must do.
Epoch epoch_after(Env& env, Epoch before) {
  using namespace std::chrono;
  const auto since_2020 = duration_cast<seconds>(env.clock.wall() - sys_days{year{2020} / 1 / 1}).count();
  const std::uint64_t by_chance = before.value() + 1 + env.random.next() % (1u << 20);
  const std::uint64_t by_clock = since_2020 > 0 ? static_cast<std::uint64_t>(since_2020) : 0;
  return Epoch(static_cast<std::uint32_t>(std::min<std::uint64_t>(std::max(by_chance, by_clock), ~0u - 1)));
}

class Restore {
 public:
  Restore(Env& env, const RestoreOptions& options, const FindingSink& damage)
      : env_(env), files_(env.files), options_(options), damage_(damage) {}

  Result<BackupContent> run() {
    if (exists(files_, options_.from + "/lock")) {
      auto lock = files_.lock(options_.from + "/lock");
      if (!lock && lock.error() == StorageErrc::directory_in_use) return make_error_code(BackupErrc::backup_in_use);
      if (lock) lock_ = std::move(*lock);  // one that may not even be opened is on a medium that nobody writes to
    }
    ASSIGN_OR_RETURN(content_, read_backup(files_, options_.from));
    if (content_.number == 0) return make_error_code(BackupErrc::no_backup);
    if (!options_.check_only) RETURN_IF_ERROR(is_free());
    RETURN_IF_ERROR(check());
    if (options_.check_only) return std::move(content_);

    RETURN_IF_ERROR(create_directories(files_, options_.data));
    std::set<std::string> directories;
    for (const BackupFile& f : content_.files) {
      const std::size_t slash = f.target.rfind('/');
      if (f.target == kInstanceKey && options_.private_files != nullptr) {
        ASSIGN_OR_RETURN(const CopiedFile copied,
                         copy_private_file(files_, *options_.private_files, options_.from + "/" + f.path,
                                           options_.data + "/" + f.target));
        if (copied.hash != f.hash) return make_error_code(BackupErrc::backup_damaged);
        continue;
      }
      if (slash == std::string::npos) continue;  // the marker: last of all
      const std::string directory = options_.data + "/" + f.target.substr(0, slash);
      RETURN_IF_ERROR(create_directories(files_, directory));
      directories.insert(directory);
      ASSIGN_OR_RETURN(const CopiedFile copied,
                       copy_file(files_, options_.from + "/" + f.path, options_.data + "/" + f.target, kAll));
      if (copied.hash != f.hash) return make_error_code(BackupErrc::backup_damaged);  // since a moment ago
    }
    for (const BackupStream& s : content_.streams) RETURN_IF_ERROR(mark(s));
    for (const std::string& directory : directories) RETURN_IF_ERROR(files_.sync_directory(directory));
    // From here on it is a data directory.
    ASSIGN_OR_RETURN(const std::string marker, read_file(files_, options_.from + "/TIDEMILL", 4096));
    RETURN_IF_ERROR(replace_file(files_, options_.data, "TIDEMILL", marker));
    return std::move(content_);
  }

 private:
  Result<void> is_free() {
    const auto entries = files_.list(options_.data);
    if (!entries) {
      if (entries.error() == boost::system::errc::no_such_file_or_directory) return {};
      return entries.error();
    }
    for (const DirectoryEntry& e : *entries)
      if (e.name != "lost+found") return make_error_code(BackupErrc::target_not_empty);
    return {};
  }

  Result<void> check() {
    bool good = true;
    const auto say = [&](const BackupFile& f, const char* kind, const std::string& text) {
      good = false;
      damage_({Finding::Grade::damage, kind, options_.from + "/" + f.path, ByteOffset(0), {}, {}, text});
    };
    for (const BackupFile& f : content_.files) {
      const auto read = copy_file(files_, options_.from + "/" + f.path, {}, kAll);
      if (!read && read.error() == boost::system::errc::no_such_file_or_directory) {
        say(f, "missing", "The file is not there.");
      } else if (!read) {
        say(f, "unreadable", "The disk refuses to read: " + read.error().message() + ".");
      } else if (read->bytes != f.bytes) {
        say(f, "backup",
            "The file has " + std::to_string(read->bytes) + " bytes; when it was made it had " +
                std::to_string(f.bytes) + ".");
      } else if (read->hash != f.hash) {
        say(f, "backup", "The file's hash is another one than when it was made.");
      }
    }
    if (!good) return make_error_code(BackupErrc::backup_damaged);
    return {};
  }

  // Says that all of the backup was durable, so that what cannot be read of it is damage and no torn tail; and raises
  // the epoch.
  Result<void> mark(const BackupStream& s) {
    const std::string directory = options_.data + "/streams/" + std::to_string(s.id.value());
    ASSIGN_OR_RETURN(const auto entries, files_.list(directory));
    DurableMark mark;
    mark.incarnation = s.incarnation;
    mark.epoch = epoch_after(env_, s.epoch);
    mark.segment = s.segment;
    mark.end = s.end;
    mark.last = s.last;
    for (const DirectoryEntry& e : entries) {
      const auto name = parse_segment_file_name(e.name);
      if (!name || name->id != s.segment) continue;
      const auto segment = open_segment(files_, directory, *name, OpenMode::read, s.incarnation, null_logger());
      if (!segment) break;
      SegmentScanner scanner(**segment, ByteOffset(kSegmentHeaderBytes), s.end, SegmentScanner::Depth::header,
                             kReadBytes);
      for (;;) {
        const auto found = scanner.next();
        if (!found || !*found) break;
        mark.checksum = (*found)->end() == s.end ? (*found)->header.checksum : 0;
      }
    }
    RETURN_IF_ERROR(MarkFile(files_, directory).write(mark, true));
    if (s.first <= Sequence(1)) return {};
    // Retention had removed what lies before: that is no damage.
    LogStart start;
    start.incarnation = s.incarnation;
    start.start = s.first;
    for (const DirectoryEntry& e : entries)
      if (const auto name = parse_segment_file_name(e.name); name && name->first <= s.first)
        start.segment = std::max(start.segment, name->id);
    return StartFile(files_, directory).write(start);
  }

  Env& env_;
  FileSystem& files_;
  const RestoreOptions& options_;
  const FindingSink& damage_;
  std::unique_ptr<DirectoryLock> lock_;
  BackupContent content_;
};

}  // namespace

Result<BackupContent> restore_backup(Env& env, const RestoreOptions& options, const FindingSink& damage) {
  return Restore(env, options, damage).run();
}

}  // namespace tidemill
