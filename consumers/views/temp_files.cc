#include <sqlite3.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>

#include "consumers/views/sql_account.h"

// SQLite's files, through. A temporary one's growth is counted in the account of the statement, and refused with
// SQLITE_FULL where that is at its limit.
namespace tidemill::views {
namespace {

sqlite3_vfs* system_files = nullptr;

struct File : sqlite3_file {
  SqlAccount* account;  // nullptr: not counted
  std::uint64_t bytes;  // counted
  sqlite3_file* under() { return reinterpret_cast<sqlite3_file*>(reinterpret_cast<char*>(this) + kUnder); }
  static const std::size_t kUnder;
};
constexpr std::size_t kAlign = alignof(std::max_align_t);
const std::size_t File::kUnder = (sizeof(File) + kAlign - 1) / kAlign * kAlign;

File& file_of(sqlite3_file* file) {
  return *static_cast<File*>(file);
}
sqlite3_file* under(sqlite3_file* file) {
  return file_of(file).under();
}

int close_file(sqlite3_file* f) {
  File& file = file_of(f);
  if (file.account != nullptr) file.account->give_file(file.bytes);
  return file.under()->pMethods->xClose(file.under());
}
int read_file(sqlite3_file* f, void* out, int n, sqlite3_int64 at) {
  return under(f)->pMethods->xRead(under(f), out, n, at);
}
int write_file(sqlite3_file* f, const void* data, int n, sqlite3_int64 at) {
  File& file = file_of(f);
  const std::uint64_t end = static_cast<std::uint64_t>(at) + static_cast<std::uint64_t>(n);
  if (file.account != nullptr && end > file.bytes) {
    if (!file.account->take_file(end - file.bytes)) return SQLITE_FULL;
    file.bytes = end;
  }
  return file.under()->pMethods->xWrite(file.under(), data, n, at);
}
int truncate_file(sqlite3_file* f, sqlite3_int64 size) {
  File& file = file_of(f);
  const int rc = file.under()->pMethods->xTruncate(file.under(), size);
  const auto wanted = static_cast<std::uint64_t>(std::max<sqlite3_int64>(size, 0));
  if (rc == SQLITE_OK && file.account != nullptr && wanted < file.bytes) {
    file.account->give_file(file.bytes - wanted);
    file.bytes = wanted;
  }
  return rc;
}
int sync_file(sqlite3_file* f, int flags) {
  return under(f)->pMethods->xSync(under(f), flags);
}
int size_of_file(sqlite3_file* f, sqlite3_int64* out) {
  return under(f)->pMethods->xFileSize(under(f), out);
}
int lock_file(sqlite3_file* f, int how) {
  return under(f)->pMethods->xLock(under(f), how);
}
int unlock_file(sqlite3_file* f, int how) {
  return under(f)->pMethods->xUnlock(under(f), how);
}
int check_lock(sqlite3_file* f, int* out) {
  return under(f)->pMethods->xCheckReservedLock(under(f), out);
}
int control_file(sqlite3_file* f, int what, void* with) {
  // A hint would make a file long before it is written.
  if (what == SQLITE_FCNTL_SIZE_HINT || what == SQLITE_FCNTL_CHUNK_SIZE) return SQLITE_NOTFOUND;
  return under(f)->pMethods->xFileControl(under(f), what, with);
}
int sector_size(sqlite3_file* f) {
  return under(f)->pMethods->xSectorSize(under(f));
}
int characteristics(sqlite3_file* f) {
  return under(f)->pMethods->xDeviceCharacteristics(under(f));
}

// Version 1: without shared memory and without mappings, which would pass the count by.
const sqlite3_io_methods kMethods = {
    .iVersion = 1,
    .xClose = close_file,
    .xRead = read_file,
    .xWrite = write_file,
    .xTruncate = truncate_file,
    .xSync = sync_file,
    .xFileSize = size_of_file,
    .xLock = lock_file,
    .xUnlock = unlock_file,
    .xCheckReservedLock = check_lock,
    .xFileControl = control_file,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = characteristics,
    .xShmMap = nullptr,
    .xShmLock = nullptr,
    .xShmBarrier = nullptr,
    .xShmUnmap = nullptr,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* f, int flags, int* flags_out) {
  constexpr int kTemporary =
      SQLITE_OPEN_TEMP_DB | SQLITE_OPEN_TRANSIENT_DB | SQLITE_OPEN_TEMP_JOURNAL | SQLITE_OPEN_SUBJOURNAL;
  auto* file = new (f) File{};
  const int rc = system_files->xOpen(system_files, name, file->under(), flags, flags_out);
  file->account = name == nullptr || (flags & kTemporary) != 0 ? SqlAccount::here() : nullptr;
  file->pMethods = file->under()->pMethods == nullptr ? nullptr : &kMethods;
  return rc;
}

}  // namespace

const char* counting_files() {
  static const char* const name = []() -> const char* {
    system_files = sqlite3_vfs_find(nullptr);
    if (system_files == nullptr) return nullptr;
    static sqlite3_vfs vfs = *system_files;  // all else is the system's, which does not look at which of them it is
    vfs.pNext = nullptr;
    vfs.zName = "tidemill";
    vfs.szOsFile = static_cast<int>(File::kUnder) + system_files->szOsFile;
    vfs.xOpen = open_file;
    return sqlite3_vfs_register(&vfs, 0) == SQLITE_OK ? vfs.zName : nullptr;
  }();
  return name;
}

}  // namespace tidemill::views
