#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "storage/base/ids.h"
#include "storage/base/result.h"

namespace tidemill {

// The disk, as everything above sees it. The real one is storage/seam/posix_file_system.h; the simulated one, which
// forgets, tears, reorders, fails and fills up, is tests/support/sim_file_system.h. Both pass one contract suite.
//
// All calls block: they run on storage threads, never on a network loop. Errors are those of errno_error() (ENOSPC,
// EIO, ENOENT ... in the generic category). EINTR and short transfers are dealt with inside.
//
// What is on disk, and when:
//   bytes of a file       after sync_data() (size included) returned without error
//   a name in a directory after sync_directory() of that directory returned without error
// A failed sync_data() leaves the written bytes in an unknown state for ever: it must not be called again for them.
class File {
 public:
  virtual ~File() = default;  // closes, flushes nothing

  // Fewer bytes than asked for only at the end of the file.
  virtual Result<std::size_t> read_at(ByteOffset offset, std::span<std::byte> into) = 0;
  // All bytes or an error; after an error any part of them may be there. Writing past the end grows the file.
  virtual Result<void> write_at(ByteOffset offset, std::span<const std::byte> bytes) = 0;
  virtual Result<void> sync_data() = 0;
  virtual Result<std::uint64_t> size() = 0;
  virtual Result<void> truncate(std::uint64_t size) = 0;
  // Hints; they cannot fail. Starts writing dirty pages out without waiting; starts reading into the cache; drops clean
  // pages from it.
  virtual void start_writeback(ByteOffset offset, std::uint64_t length) = 0;
  virtual void read_ahead(ByteOffset offset, std::uint64_t length) = 0;
  virtual void drop_cache(ByteOffset offset, std::uint64_t length) = 0;
};

enum class OpenMode {
  read,    // must exist
  write,   // read and write, must exist
  create,  // read and write, must not exist (EEXIST)
  open_or_create,
  // Read and write, must exist, past the page cache: each write_at() is on disk when it returns, like one that
  // sync_data() followed, and fails like it. Offset, length and address are whole blocks of 4 KiB. EINVAL where the
  // file system has no such thing.
  write_through,
};

struct DirectoryEntry {
  std::string name;
  bool is_directory = false;
};

struct FileInfo {
  std::uint64_t size = 0;
  bool is_directory = false;
  std::int64_t modified_s = 0;  // seconds since 1970
};

struct DiskSpace {
  std::uint64_t free_bytes = 0;  // for an unprivileged writer
  std::uint64_t total_bytes = 0;
};

// Held as long as it lives. Whoever else asks meanwhile, in this process or another, gets
// StorageErrc::directory_in_use. Goes with the process, however that ends.
class DirectoryLock {
 public:
  virtual ~DirectoryLock() = default;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  virtual Result<void> rename(const std::string& from, const std::string& to) = 0;  // replaces, atomically
  virtual Result<void> link(const std::string& from, const std::string& to) = 0;    // hard link
  virtual Result<void> remove(const std::string& path) = 0;                         // a file or an empty directory
  virtual Result<void> create_directory(const std::string& path) = 0;  // EEXIST if it is there; parents must exist
  virtual Result<void> sync_directory(const std::string& path) = 0;
  virtual Result<std::vector<DirectoryEntry>> list(const std::string& path) = 0;  // sorted by name
  virtual Result<FileInfo> info(const std::string& path) = 0;
  virtual Result<DiskSpace> space(const std::string& path) = 0;
  // `path` names the lock's own file (DATA/lock), made when missing, never removed.
  virtual Result<std::unique_ptr<DirectoryLock>> lock(const std::string& path) = 0;
};

// Conveniences over any FileSystem, in file_system.cc.
Result<void> create_directories(FileSystem& fs, const std::string& path);  // each new name is synced in its parent
// Makes `path` below `root` (which exists) and syncs every directory from `root` down to its parent, also where nothing
// had to be made: a name may be there and not on disk, made by a process that was killed before it synced.
Result<void> create_directories_below(FileSystem& fs, const std::string& root, const std::string& path);
Result<std::string> read_file(FileSystem& fs, const std::string& path, std::uint64_t size_max);
// For where a wrong "no" does no harm: whatever the disk cannot say counts as one.
bool exists(FileSystem& fs, const std::string& path);
Result<bool> is_there(FileSystem& fs, const std::string& path);  // no is no: what the disk cannot say is its error
Result<void> remove_tree(FileSystem& fs, const std::string& path);

}  // namespace tidemill
