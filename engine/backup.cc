#include "engine/backup.h"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <map>
#include <set>
#include <span>

#include "engine/backup_files.h"
#include "engine/base_directory.h"
#include "storage/base/errors.h"
#include "storage/base/text.h"
#include "storage/log/segment_format.h"
#include "storage/seam/clock.h"

namespace tidemill {
namespace {

constexpr int kTriesMax = 5;
constexpr std::uint64_t kAll = std::numeric_limits<std::uint64_t>::max();

bool is_errno(const ErrorCode& error, int value) {
  return error == ErrorCode(value, boost::system::generic_category());
}

std::map<StreamId, Sequence> starts(const DataCut& cut) {
  std::map<StreamId, Sequence> out;
  for (const StreamCut& stream : cut.streams) out.emplace(stream.id, stream.log.start);
  return out;
}

class Backup {
 public:
  Backup(Env& env, const BackupOptions& options) : env_(env), files_(env.files), options_(options) {}

  Result<BackupDone> run() {
    RETURN_IF_ERROR(create_directories(files_, options_.to));
    ASSIGN_OR_RETURN(DataCut cut, options_.cut());
    RETURN_IF_ERROR(take_directory(cut.instance));
    for (int attempt = 1;; ++attempt) {
      // Answers that a log remembers must not be of requests that it does not hold: they are copied before the cut.
      // Retention drops what they cover, so nothing may have been dropped between the two.
      RETURN_IF_ERROR(copy_answers(cut));
      // The same of the views' base: it must have counted what is gone from the logs, and nothing that is not in them.
      const auto based = copy_base();
      if (!based && !is_errno(based.error(), ENOENT)) return based.error();
      ASSIGN_OR_RETURN(DataCut now, options_.cut());
      const auto before = starts(cut);
      const auto after = starts(now);
      const bool same_starts = std::all_of(after.begin(), after.end(), [&](const auto& s) {
        const auto it = before.find(s.first);
        return it == before.end() ? s.second == Sequence(1) : it->second == s.second;
      });
      cut = std::move(now);
      if (same_starts && based) {
        const auto made = collect(cut);
        if (made) break;
        // Retention, or the removal of a stream: what is there now is asked for again, and little is left to do.
        if (!is_errno(made.error(), ENOENT)) return made.error();
      }
      if (attempt == kTriesMax) return make_error_code(BackupErrc::changing_too_fast);
    }
    for (const std::string& directory : directories_) RETURN_IF_ERROR(files_.sync_directory(directory));
    done_.content.instance = cut.instance;
    done_.content.number = before_.number + 1;
    done_.content.taken = env_.clock.wall();
    for (const BackupFile& f : done_.content.files)
      ++(linked_.contains(f.path) ? done_.linked : copied_.contains(f.path) ? done_.copied : done_.kept);
    RETURN_IF_ERROR(replace_file(files_, options_.to, kBackupManifest, encode_backup(done_.content)));
    remove_others();
    return std::move(done_);
  }

 private:
  Result<void> take_directory(const std::string& instance);
  Result<void> copy_answers(const DataCut& cut);
  Result<void> copy_base();
  Result<void> whole(const std::string& path);
  Result<void> collect(const DataCut& cut);
  Result<void> sealed(const std::string& path);
  Result<void> instance_key();
  Result<void> end_of(const std::string& path, const std::string& kept_as, std::uint64_t bytes);
  Result<bool> keep(const std::string& path, const std::string& kept_as);
  Result<void> remove_if_there(const std::string& path);
  void remove_others();

  Env& env_;
  FileSystem& files_;
  const BackupOptions& options_;
  std::unique_ptr<DirectoryLock> lock_;
  BackupContent before_;
  std::map<std::string, BackupFile> had_;  // by path
  std::map<StreamId, BackupFile> answers_;
  std::vector<BackupFile> base_;
  std::set<std::string> directories_;
  std::set<std::string> linked_, copied_;  // in this run
  BackupDone done_;
};

// The directory is ours before anything is put there: a manifest that names nothing.
Result<void> Backup::take_directory(const std::string& instance) {
  const std::string manifest = options_.to + "/" + kBackupManifest;
  if (!exists(files_, manifest)) {
    ASSIGN_OR_RETURN(const auto entries, files_.list(options_.to));
    for (const DirectoryEntry& e : entries)
      if (e.name != "lock" && e.name != "lost+found" && e.name != std::string(kBackupManifest) + ".tmp")
        return make_error_code(BackupErrc::not_a_backup);
  }
  auto lock = files_.lock(options_.to + "/lock");
  if (!lock && lock.error() == StorageErrc::directory_in_use) return make_error_code(BackupErrc::backup_in_use);
  if (!lock) return lock.error();
  lock_ = std::move(*lock);
  if (!exists(files_, manifest)) {
    before_.instance = instance;
    before_.taken = env_.clock.wall();
    return replace_file(files_, options_.to, kBackupManifest, encode_backup(before_));
  }
  ASSIGN_OR_RETURN(before_, read_backup(files_, options_.to));
  if (before_.instance != instance) return make_error_code(BackupErrc::other_instance);
  for (const BackupFile& f : before_.files) had_.emplace(f.path, f);
  return {};
}

Result<void> Backup::copy_answers(const DataCut& cut) {
  answers_.clear();
  for (const StreamCut& stream : cut.streams) {
    const std::string target = "streams/" + std::to_string(stream.id.value()) + "/requests";
    if (!exists(files_, options_.data + "/" + target)) continue;
    RETURN_IF_ERROR(create_directories(files_, options_.to + "/streams/" + std::to_string(stream.id.value())));
    const std::string aside = options_.to + "/" + target + ".new";
    RETURN_IF_ERROR(remove_if_there(aside));
    const auto copied = copy_file(files_, options_.data + "/" + target, aside, kAll);
    if (!copied && is_errno(copied.error(), ENOENT)) continue;  // the stream is being removed
    if (!copied) return copied.error();
    // Another name for other bytes, for no file that a manifest names is written again.
    const std::string path = target + "-" + to_hex(copied->hash);
    RETURN_IF_ERROR(files_.rename(aside, options_.to + "/" + path));
    copied_.insert(path);
    answers_[stream.id] = {copied->bytes, copied->hash, path, target};
  }
  return {};
}

// The newest one. ENOENT: another has taken its place meanwhile.
Result<void> Backup::copy_base() {
  base_.clear();
  const std::string bases = kBasesDirectory;
  ASSIGN_OR_RETURN(const std::uint64_t number, newest_base(files_, options_.data + "/" + bases));
  if (number == 0) return {};
  const std::string directory = bases + "/" + std::to_string(number);
  ASSIGN_OR_RETURN(const auto entries, files_.list(options_.data + "/" + directory));
  RETURN_IF_ERROR(create_directories(files_, options_.to + "/" + directory));
  directories_.insert(options_.to + "/" + directory);
  for (const DirectoryEntry& e : entries)
    if (!e.is_directory) RETURN_IF_ERROR(whole(directory + "/" + e.name));
  return {};
}

// A file that never changes, and whose name and beginning tell nothing: kept under its hash.
Result<void> Backup::whole(const std::string& path) {
  const std::string from = options_.data + "/" + path;
  ASSIGN_OR_RETURN(const CopiedFile read, copy_file(files_, from, {}, kAll));
  const BackupFile file{read.bytes, read.hash, path + "-" + to_hex(read.hash), path};
  const std::string to = options_.to + "/" + file.path;
  base_.push_back(file);
  const auto had = had_.find(file.path);
  const auto there = files_.info(to);
  if (had != had_.end() && had->second == file && there && there->size == read.bytes) return {};
  had_[file.path] = file;
  RETURN_IF_ERROR(remove_if_there(to));
  if (options_.link) {
    const auto linked = files_.link(from, to);
    if (linked) linked_.insert(file.path);
    if (linked || is_errno(linked.error(), ENOENT)) return linked;  // else another disk, or one without links
  }
  ASSIGN_OR_RETURN(const CopiedFile copied, copy_file(files_, from, to, kAll));
  if (copied.hash != read.hash) return make_error_code(StorageErrc::damaged);
  copied_.insert(file.path);
  done_.copied_bytes += copied.bytes;
  return {};
}

Result<void> Backup::collect(const DataCut& cut) {
  done_.content = {};
  done_.content.files = base_;
  for (const StreamCut& stream : cut.streams) {
    const std::string directory = "streams/" + std::to_string(stream.id.value());
    RETURN_IF_ERROR(create_directories(files_, options_.to + "/" + directory));
    directories_.insert(options_.to + "/" + directory);
    const auto& segments = stream.log.segments;
    for (std::size_t i = 0; i + 1 < segments.size(); ++i)
      RETURN_IF_ERROR(sealed(directory + "/" + segment_file_name(segments[i])));
    // The last one is written on: a copy of what counts, under a name that says how much that is.
    const std::string last = directory + "/" + segment_file_name(segments.back());
    const std::uint64_t end = stream.log.end.value();
    RETURN_IF_ERROR(end_of(last, last + ".upto-" + std::to_string(end), end));
    if (const auto it = answers_.find(stream.id); it != answers_.end()) done_.content.files.push_back(it->second);
    done_.content.streams.push_back({stream.id, stream.log.incarnation, stream.log.epoch, stream.log.start,
                                     segments.back().id, stream.log.end, stream.log.last, stream.name});
  }
  RETURN_IF_ERROR(instance_key());
  // Small, and the same each time: which directory this is.
  return end_of("TIDEMILL", "TIDEMILL", kAll);
}

// After the cut: it was on disk before an event of the system stream needed it.
Result<void> Backup::instance_key() {
  if (options_.with_instance_key == nullptr) return {};
  const std::string from = options_.data + "/" + kInstanceKey;
  ASSIGN_OR_RETURN(const bool there, is_there(files_, from));
  if (!there) return {};
  ASSIGN_OR_RETURN(const CopiedFile read, copy_file(files_, from, {}, kAll));
  const std::string path = std::string(kInstanceKey) + "-" + to_hex(read.hash);
  if (const auto had = had_.find(path); had == had_.end() || !exists(files_, options_.to + "/" + path)) {
    RETURN_IF_ERROR(remove_if_there(options_.to + "/" + path));
    const auto copied = copy_private_file(files_, *options_.with_instance_key, from, options_.to + "/" + path);
    if (!copied) return copied.error();
    copied_.insert(path);
    done_.copied_bytes += read.bytes;
    had_[path] = {read.bytes, read.hash, path, kInstanceKey};
  }
  done_.content.files.push_back(had_[path]);
  return {};
}

Result<void> Backup::remove_if_there(const std::string& path) {
  const auto removed = files_.remove(path);
  if (!removed && !is_errno(removed.error(), ENOENT)) return removed.error();
  return {};
}

// What an earlier backup has of it. A clone of the data directory may have a segment of the same name: the header, with
// its random salt, tells.
Result<bool> Backup::keep(const std::string& path, const std::string& kept_as) {
  const auto had = had_.find(kept_as);
  if (had == had_.end()) return false;
  const auto there = files_.info(options_.to + "/" + kept_as);
  if (!there || there->size != had->second.bytes) return false;
  ASSIGN_OR_RETURN(const CopiedFile mine, copy_file(files_, options_.data + "/" + path, {}, kSegmentHeaderBytes));
  const auto theirs = copy_file(files_, options_.to + "/" + kept_as, {}, kSegmentHeaderBytes);
  if (!theirs || theirs->hash != mine.hash) return false;
  done_.content.files.push_back(had->second);
  return true;
}

Result<void> Backup::sealed(const std::string& path) {
  ASSIGN_OR_RETURN(const bool kept, keep(path, path));
  if (kept) return {};
  const std::string from = options_.data + "/" + path;
  const std::string to = options_.to + "/" + path;
  RETURN_IF_ERROR(remove_if_there(to));
  if (!options_.link) return end_of(path, path, kAll);
  if (const auto linked = files_.link(from, to); !linked) {
    if (is_errno(linked.error(), ENOENT)) return linked.error();
    return end_of(path, path, kAll);  // another disk, or one without links
  }
  // All that counts in it is on disk; what stands behind its end, which nobody needs, is in the hash all the same.
  ASSIGN_OR_RETURN(const auto file, files_.open(to, OpenMode::read));
  RETURN_IF_ERROR(file->sync_data());
  ASSIGN_OR_RETURN(const CopiedFile read, copy_file(files_, to, {}, kAll));
  linked_.insert(path);
  had_[path] = {read.bytes, read.hash, path, path};
  done_.content.files.push_back(had_[path]);
  return {};
}

Result<void> Backup::end_of(const std::string& path, const std::string& kept_as, std::uint64_t bytes) {
  ASSIGN_OR_RETURN(const bool kept, keep(path, kept_as));
  if (kept) return {};
  RETURN_IF_ERROR(remove_if_there(options_.to + "/" + kept_as));
  ASSIGN_OR_RETURN(const CopiedFile copied,
                   copy_file(files_, options_.data + "/" + path, options_.to + "/" + kept_as, bytes));
  if (bytes != kAll && copied.bytes != bytes) return make_error_code(StorageErrc::damaged);
  copied_.insert(kept_as);
  done_.copied_bytes += copied.bytes;
  had_[kept_as] = {copied.bytes, copied.hash, kept_as, path};
  done_.content.files.push_back(had_[kept_as]);
  return {};
}

// What the new manifest does not name, of earlier backups or of one that was cut short. Failing is harmless: the next
// one does it.
void Backup::remove_others() {
  std::set<std::string> named;
  for (const BackupFile& f : done_.content.files) named.insert(f.path);
  // The encryption key of a backup that was made with it does not stay in those that are made without.
  if (const auto top = files_.list(options_.to))
    for (const DirectoryEntry& e : *top)
      if (e.name.starts_with(std::string(kInstanceKey) + "-") && !named.contains(e.name))
        (void)files_.remove(options_.to + "/" + e.name).has_value();
  for (const std::string parent : {"streams", kBasesDirectory}) {
    const auto directories = files_.list(options_.to + "/" + parent);
    if (!directories) continue;
    for (const DirectoryEntry& d : *directories) {
      const std::string directory = parent + "/" + d.name;
      const auto entries = files_.list(options_.to + "/" + directory);
      if (!entries) continue;
      bool empty = true;
      for (const DirectoryEntry& e : *entries) {
        const bool wanted = named.contains(directory + "/" + e.name);
        const bool gone = !wanted && files_.remove(options_.to + "/" + directory + "/" + e.name);
        empty = empty && gone;
      }
      if (empty) (void)files_.remove(options_.to + "/" + directory).has_value();
    }
  }
}

}  // namespace

Result<BackupDone> make_backup(Env& env, const BackupOptions& options) {
  return Backup(env, options).run();
}

}  // namespace tidemill
