#include "consumers/views/copies.h"

#include "engine/base_directory.h"
#include "storage/base/logger.h"
#include "storage/seam/file_system.h"

namespace tidemill::views {

Result<std::vector<std::uint64_t>> Copies::numbers() const {
  return numbers_in(env_.files, directory_);
}

Result<bool> Copies::settle(Missing missing) const {
  if (missing == Missing::make) {
    RETURN_IF_ERROR(create_directories(env_.files, directory_));
  } else {
    ASSIGN_OR_RETURN(const bool there, is_there(env_.files, directory_));
    if (!there) return false;
  }
  RETURN_IF_ERROR(env_.files.sync_directory(directory_));
  return true;
}

Result<void> Copies::keep(std::uint64_t number) const {
  RETURN_IF_ERROR(env_.files.rename(aside(), path(number)));
  return env_.files.sync_directory(directory_);
}

void Copies::remove_aside() const {
  if (exists(env_.files, aside())) (void)remove_tree(env_.files, aside()).has_value();
}

void Copies::remove_others(const std::set<std::uint64_t>& kept) const {
  std::set<std::string> names;
  for (const std::uint64_t number : kept) names.insert(std::to_string(number));
  const auto entries = env_.files.list(directory_);
  if (!entries) return;
  for (const DirectoryEntry& e : *entries) {
    if (!e.is_directory || names.contains(e.name)) continue;
    if (const auto removed = remove_tree(env_.files, directory_ + "/" + e.name); !removed)
      env_.logger.warning(
          "an old copy of the views was not removed; it is tried again",
          {{"what", what_}, {"directory", directory_ + "/" + e.name}, {"cause", removed.error().message()}});
  }
}

}  // namespace tidemill::views
