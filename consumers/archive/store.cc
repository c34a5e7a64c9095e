#include <algorithm>
#include <cerrno>

#include "consumers/archive/unit.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"

namespace tidemill::archive {
namespace {

// So many of the newest hours are searched for leftovers. A file that was being written when the process ended is named
// by its first record's arrival; one older than this can only come from a backlog, and there the same name is written
// again, for the first record after the checkpoint is the same.
constexpr std::size_t kLeftoverHours = 26;

// The newest directories `depth` levels down, newest first, at most `limit`.
Result<void> newest(FileSystem& fs, const std::string& path, int depth, std::size_t limit,
                    std::vector<std::string>& into) {
  if (depth == 0) {
    into.push_back(path);
    return {};
  }
  ASSIGN_OR_RETURN(const auto entries, fs.list(path));
  for (auto it = entries.rbegin(); it != entries.rend() && into.size() < limit; ++it)
    if (it->is_directory) RETURN_IF_ERROR(newest(fs, path + "/" + it->name, depth - 1, limit, into));
  return {};
}

}  // namespace

Result<std::shared_ptr<Store>> Store::open(Env& env, std::string directory, const StreamDefinition& definition,
                                           LogReader log, const std::vector<UnitSpan>& units) {
  RETURN_IF_ERROR(create_directories(env.files, directory));
  // Up to DATA: the process that made the names may have been killed before it synced them.
  const int levels = definition.tenant == kDefaultTenant ? 2 : 4;  // DataDirectory::archive()
  std::string parent = directory;
  for (int level = 0; level < levels && parent.rfind('/') != std::string::npos && parent.rfind('/') > 0; ++level) {
    parent = directory_of(parent);
    RETURN_IF_ERROR(env.files.sync_directory(parent));
  }
  std::shared_ptr<Store> store(new Store(env, std::move(directory), definition, std::move(log)));
  ASSIGN_OR_RETURN(auto opened, Manifest::open(env, store->directory, definition, units));
  if (opened.other_stream) {
    RETURN_IF_ERROR(store->move_aside(*opened.other_stream));
    ASSIGN_OR_RETURN(opened, Manifest::open(env, store->directory, definition, units));
  }
  store->manifest = std::move(opened.manifest);
  if (store->manifest == nullptr) return StorageErrc::damaged;  // the new directory has another's manifest again
  RETURN_IF_ERROR(store->remove_leftovers(units));
  return store;
}

// Names of streams do not begin with `_`: nobody else has this one.
Result<void> Store::move_aside(StreamId other) {
  const std::string aside = directory_of(directory) + "/_" + std::to_string(other.value()) + "-" + stream;
  env.logger.warning("the archive found is of an earlier stream of this name; it is kept under another name",
                     {{"stream", title}, {"directory", directory}, {"kept_as", aside}});
  RETURN_IF_ERROR(env.files.rename(directory, aside));
  RETURN_IF_ERROR(env.files.sync_directory(directory_of(directory)));
  return create_directories(env.files, directory);
}

Result<void> Store::check_free(const std::string& path) const {
  ASSIGN_OR_RETURN(const bool there, is_there(env.files, directory + "/" + path));
  if (!there) return {};
  env.logger.error("a text file is there that the archive's manifest does not name",
                   {{"stream", title}, {"file", directory + "/" + path}, {"remedy", kAnew}});
  return StorageErrc::damaged;
}

Result<void> Store::remove_leftovers(const std::vector<UnitSpan>& units) {
  std::set<std::string> wanted;  // complete, and perhaps not yet in place
  for (const auto& unit : units)
    if (const auto file = manifest->found(unit.name).last_file) wanted.insert(directory + "/" + part_path(file->path));
  std::vector<std::string> hours;
  RETURN_IF_ERROR(newest(env.files, directory, 4, kLeftoverHours, hours));
  std::uint64_t removed = 0;
  for (const auto& hour : hours) {
    ASSIGN_OR_RETURN(const auto entries, env.files.list(hour));
    for (const auto& entry : entries) {
      const std::string path = hour + "/" + entry.name;
      if (!entry.name.ends_with(".part") || wanted.contains(path)) continue;
      RETURN_IF_ERROR(env.files.remove(path));
      ++removed;
    }
  }
  if (removed > 0)
    env.logger.info("removed files that were not complete; their records are read from the log again",
                    {{"stream", title}, {"files", std::to_string(removed)}});
  return {};
}

Result<void> Store::make_directory_for(const std::string& path) {
  const std::string hour = directory_of(path);
  const std::lock_guard lock(mutex_);
  if (made_.contains(hour) && exists(env.files, directory + "/" + hour)) return {};
  RETURN_IF_ERROR(create_directories_below(env.files, directory, hour));
  if (made_.size() >= 1000) made_.clear();
  made_.insert(hour);
  return {};
}

Result<void> Store::place(const std::string& path) {
  const std::string full = directory + "/" + path;
  const std::string part = directory + "/" + part_path(path);
  RETURN_IF_ERROR(env.files.rename(part, full));
  auto synced = env.files.sync_directory(directory_of(full));
  // Whether the name is on disk is not known then, and a second flush would not tell: it is to be given anew.
  if (!synced) (void)env.files.rename(full, part).has_value();
  return synced;
}

}  // namespace tidemill::archive
