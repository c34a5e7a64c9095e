#include "engine/data_directory.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>
#include <span>

#include "engine/checksum.h"
#include "engine/errors.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/base/text.h"
#include "storage/seam/random.h"

namespace tidemill {
namespace {

constexpr std::string_view kTitle = "tidemill data directory";
constexpr std::uint64_t kFileBytesMax = 4096;

// The value of a line `name = value`; nullopt: no such line.
std::optional<std::string_view> line_value(std::string_view text, std::string_view name) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.starts_with(name) && line.substr(name.size()).starts_with(" = ")) return line.substr(name.size() + 3);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return std::nullopt;
}

std::string write_marker(const std::string& instance) {
  std::string text(kTitle);
  text += "\nlayout = " + std::to_string(DataDirectory::kLayout) + "\ninstance = " + instance + "\n";
  return text + "checksum = " + to_hex(small_checksum(text), 8) + "\n";
}

// The instance id.
Result<std::string> read_marker(std::string_view text) {
  // The title and the layout line are the same in every version; what follows a newer layout is not ours to judge.
  if (!text.starts_with(std::string(kTitle) + "\nlayout = ")) return StorageErrc::damaged;
  const auto layout = line_value(text, "layout");
  std::uint32_t number = 0;
  if (std::from_chars(layout->data(), layout->data() + layout->size(), number).ec != std::errc() || number == 0)
    return StorageErrc::damaged;
  if (number > DataDirectory::kLayout) return StorageErrc::layout_too_new;
  const auto instance = line_value(text, "instance");
  const std::size_t sum = text.rfind("checksum = ");
  if (!instance || instance->size() != 32 || sum == std::string_view::npos) return StorageErrc::damaged;
  if (text.substr(sum) != "checksum = " + to_hex(small_checksum(text.substr(0, sum)), 8) + "\n")
    return StorageErrc::damaged;
  return std::string(*instance);
}

Result<void> create_marker(FileSystem& fs, const std::string& path, const std::string& instance) {
  const std::string aside = path + "/TIDEMILL.tmp";
  const std::string text = write_marker(instance);
  {
    ASSIGN_OR_RETURN(const auto file, fs.open(aside, OpenMode::open_or_create));
    RETURN_IF_ERROR(file->truncate(0));
    RETURN_IF_ERROR(file->write_at(ByteOffset(0), std::as_bytes(std::span(text))));
    RETURN_IF_ERROR(file->sync_data());
  }
  RETURN_IF_ERROR(fs.rename(aside, path + "/TIDEMILL"));
  return fs.sync_directory(path);
}

// streams/ of a first start that was cut short before the marker: at most the system stream's directory, and that
// empty. A lock stands beside it, which is durable before; what a restore has begun has none, and is part of something.
Result<bool> only_begun(FileSystem& fs, const std::string& path) {
  ASSIGN_OR_RETURN(const bool locked, is_there(fs, path + "/lock"));
  if (!locked) return false;
  const std::string streams = path + "/streams";
  ASSIGN_OR_RETURN(const auto entries, fs.list(streams));
  for (const DirectoryEntry& entry : entries) {
    if (entry.name != "0" || !entry.is_directory) return false;
    ASSIGN_OR_RETURN(const auto inside, fs.list(streams + "/0"));
    if (!inside.empty()) return false;
  }
  return true;
}

// Of a directory with the marker, which is made after streams/0. A log that is opened where there is none is made anew,
// and a new system stream has no keys: the server would be open to everybody, and know none of its streams.
Result<bool> system_stream_gone(FileSystem& fs, const std::string& path) {
  const std::string streams = path + "/streams";
  ASSIGN_OR_RETURN(const bool there, is_there(fs, streams + "/0"));
  if (!there) return true;
  ASSIGN_OR_RETURN(const auto inside, fs.list(streams + "/0"));
  for (const DirectoryEntry& entry : inside)
    if (entry.name.ends_with(".seg")) return false;
  // No segment yet. Another stream comes only after it.
  ASSIGN_OR_RETURN(const auto others, fs.list(streams));
  if (others.size() > 1) return true;
  // Nor was anything else made before it: views, text files, a key of kind aws.
  for (const char* later : {"/instance.key", "/views.bases", "/views.history"}) {
    ASSIGN_OR_RETURN(const bool is, is_there(fs, path + later));
    if (is) return true;
  }
  for (const char* later : {"/views", "/archive"}) {  // made with the directory, and empty then
    ASSIGN_OR_RETURN(const bool is, is_there(fs, path + later));
    if (!is) continue;
    ASSIGN_OR_RETURN(const auto entries, fs.list(path + later));
    if (!entries.empty()) return true;
  }
  return false;
}

// A directory without the marker: new, or the leavings of a first start that was cut short?
Result<void> may_become_ours(FileSystem& fs, const std::string& path) {
  ASSIGN_OR_RETURN(const auto entries, fs.list(path));
  const auto is_streams = [](const DirectoryEntry& entry) { return entry.name == "streams"; };
  // Before the others, of which some stand before it in the list: where there are logs, they are ours, too.
  if (std::any_of(entries.begin(), entries.end(), is_streams)) {
    ASSIGN_OR_RETURN(const bool begun, only_begun(fs, path));
    if (!begun) return make_error_code(StorageErrc::damaged);
  }
  for (const DirectoryEntry& entry : entries) {
    if (entry.name == "lock" || entry.name == "TIDEMILL.tmp" || entry.name == "lost+found") continue;
    if (entry.name.starts_with('.') || is_streams(entry)) continue;
    return make_error_code(EngineErrc::not_a_data_directory);
  }
  return {};
}

constexpr std::string_view kSystemStreamGone =
    "streams/0, the system stream, is missing or empty although the directory was used: it has the keys and what "
    "streams and "
    "views there are. Nothing is served without it; restore the directory from a backup (tidemill restore)";

std::string_view sentence(ErrorCode error) {
  if (error == StorageErrc::layout_too_new)
    return "the data directory was written by a later version of Tidemill; start that version, or restore a backup "
           "made by this one";
  if (error == StorageErrc::damaged)
    return "DATA/TIDEMILL is missing or damaged although the directory was used; restore that file from a backup";
  if (error == EngineErrc::not_a_data_directory)
    return "the directory holds files that are not Tidemill's; choose an empty or a new one";
  if (error == StorageErrc::directory_in_use)
    return "another process uses the data directory; stop it, or choose another directory";
  return {};  // the code says it all to whoever opens
}

}  // namespace

Result<std::unique_ptr<DataDirectory>> DataDirectory::open(Env& env, const std::string& path) {
  FileSystem& fs = env.files;
  std::unique_ptr<DataDirectory> directory(new DataDirectory);
  directory->path_ = path;
  bool system_gone = false;
  const auto opened = [&]() -> Result<void> {
    RETURN_IF_ERROR(create_directories(fs, path));
    // Before anything is made in it: what is somebody else's stays as it was.
    ASSIGN_OR_RETURN(const bool ours, is_there(fs, path + "/TIDEMILL"));
    if (!ours) RETURN_IF_ERROR(may_become_ours(fs, path));
    ASSIGN_OR_RETURN(directory->lock_, fs.lock(path + "/lock"));
    const auto marker = read_file(fs, path + "/TIDEMILL", kFileBytesMax);
    if (marker) {
      ASSIGN_OR_RETURN(directory->instance_, read_marker(*marker));
      ASSIGN_OR_RETURN(system_gone, system_stream_gone(fs, path));
      if (system_gone) return make_error_code(StorageErrc::damaged);
    } else {
      if (marker.error() != ErrorCode(ENOENT, boost::system::generic_category())) return marker.error();
      RETURN_IF_ERROR(may_become_ours(fs, path));
      // Before the marker: where that is, the system stream is missed. And after the lock, which says whose it is.
      RETURN_IF_ERROR(fs.sync_directory(path));
      RETURN_IF_ERROR(create_directories_below(fs, path, "streams/0"));
      directory->instance_ = to_hex(env.random.next(), 16) + to_hex(env.random.next(), 16);
      RETURN_IF_ERROR(create_marker(fs, path, directory->instance_));
    }
    for (const std::string& sub : {directory->streams(), directory->views(), directory->archive()})
      RETURN_IF_ERROR(create_directories(fs, sub));
    return {};
  }();
  if (!opened) {
    if (const auto said = system_gone ? kSystemStreamGone : sentence(opened.error()); !said.empty())
      env.logger.error(said, {{"directory", path}});
    return opened.error();
  }
  return directory;
}

Result<std::unique_ptr<DataDirectory>> DataDirectory::open_read_only(Env& env, const std::string& path, bool lock) {
  std::unique_ptr<DataDirectory> directory(new DataDirectory);
  directory->path_ = path;
  const auto marker = read_file(env.files, path + "/TIDEMILL", kFileBytesMax);
  if (!marker) {
    if (marker.error() != ErrorCode(ENOENT, boost::system::generic_category())) return marker.error();
    if (exists(env.files, path + "/streams")) return make_error_code(StorageErrc::damaged);
    if (!exists(env.files, path)) return marker.error();
    return make_error_code(EngineErrc::not_a_data_directory);
  }
  ASSIGN_OR_RETURN(directory->instance_, read_marker(*marker));
  if (lock && exists(env.files, path + "/lock")) {
    ASSIGN_OR_RETURN(directory->lock_, env.files.lock(path + "/lock"));
  }
  return directory;
}

}  // namespace tidemill
