#include "storage/seam/posix_file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "storage/base/errors.h"

namespace tidemill {
namespace {

ErrorCode last_error() {
  return errno_error(errno);
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  const int fd_;
};

template <class Call>
auto retry(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

class PosixFile final : public File {
 public:
  explicit PosixFile(int fd) : fd_(fd) {}

  Result<std::size_t> read_at(ByteOffset offset, std::span<std::byte> into) override {
    std::size_t done = 0;
    while (done < into.size()) {
      const ssize_t n = retry([&] {
        return ::pread(fd_.get(), into.data() + done, into.size() - done, static_cast<off_t>(offset.value() + done));
      });
      if (n < 0) return last_error();
      if (n == 0) break;  // the end
      done += static_cast<std::size_t>(n);
    }
    return done;
  }

  Result<void> write_at(ByteOffset offset, std::span<const std::byte> bytes) override {
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t n = retry([&] {
        return ::pwrite(fd_.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset.value() + done));
      });
      if (n < 0) return last_error();
      if (n == 0) return ErrorCode(EIO, boost::system::generic_category());  // takes nothing and says nothing
      done += static_cast<std::size_t>(n);
    }
    return {};
  }

  // EINTR is no verdict on the bytes and takes no error away, so asking again is right; any other error is final.
  Result<void> sync_data() override {
    if (retry([&] { return ::fdatasync(fd_.get()); }) < 0) return last_error();
    return {};
  }

  Result<std::uint64_t> size() override {
    struct stat st;
    if (::fstat(fd_.get(), &st) < 0) return last_error();
    return static_cast<std::uint64_t>(st.st_size);
  }

  Result<void> truncate(std::uint64_t size) override {
    if (retry([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(size)); }) < 0) return last_error();
    return {};
  }

  void start_writeback(ByteOffset offset, std::uint64_t length) override {
    ::sync_file_range(fd_.get(), static_cast<off_t>(offset.value()), static_cast<off_t>(length), SYNC_FILE_RANGE_WRITE);
  }

  void read_ahead(ByteOffset offset, std::uint64_t length) override {
    ::posix_fadvise(fd_.get(), static_cast<off_t>(offset.value()), static_cast<off_t>(length), POSIX_FADV_WILLNEED);
  }

  void drop_cache(ByteOffset offset, std::uint64_t length) override {
    ::posix_fadvise(fd_.get(), static_cast<off_t>(offset.value()), static_cast<off_t>(length), POSIX_FADV_DONTNEED);
  }

 private:
  const Descriptor fd_;
};

class PosixLock final : public DirectoryLock {
 public:
  explicit PosixLock(int fd) : fd_(fd) {}

 private:
  const Descriptor fd_;  // closing it is what unlocks
};

Result<bool> entry_is_directory(DIR* directory, const dirent& entry) {
  if (entry.d_type == DT_DIR) return true;
  if (entry.d_type != DT_UNKNOWN && entry.d_type != DT_LNK) return false;
  struct stat st;
  if (::fstatat(::dirfd(directory), entry.d_name, &st, 0) < 0) {
    if (errno == ENOENT) return false;  // gone meanwhile, or a link to nowhere
    return last_error();
  }
  return S_ISDIR(st.st_mode);
}

}  // namespace

Result<std::unique_ptr<File>> PosixFileSystem::open(const std::string& path, OpenMode mode) {
  int flags = O_CLOEXEC;
  switch (mode) {
    case OpenMode::read:
      flags |= O_RDONLY;
      break;
    case OpenMode::write:
      flags |= O_RDWR;
      break;
    case OpenMode::write_through:
      flags |= O_RDWR | O_DIRECT | O_DSYNC;
      break;
    case OpenMode::create:
      flags |= O_RDWR | O_CREAT | O_EXCL;
      break;
    case OpenMode::open_or_create:
      flags |= O_RDWR | O_CREAT;
      break;
  }
  const int fd = retry([&] { return ::open(path.c_str(), flags, 0644); });
  if (fd < 0) return last_error();
  auto file = std::make_unique<PosixFile>(fd);
  if (mode == OpenMode::read) {  // the one mode in which a directory would open, and fail only later
    struct stat st;
    if (::fstat(fd, &st) < 0) return last_error();
    if (S_ISDIR(st.st_mode)) return ErrorCode(EISDIR, boost::system::generic_category());
  }
  return std::unique_ptr<File>(std::move(file));
}

Result<void> PosixFileSystem::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) < 0) return last_error();
  return {};
}

Result<void> PosixFileSystem::link(const std::string& from, const std::string& to) {
  if (::link(from.c_str(), to.c_str()) < 0) return last_error();
  return {};
}

Result<void> PosixFileSystem::remove(const std::string& path) {
  if (::remove(path.c_str()) < 0) return last_error();
  return {};
}

Result<void> PosixFileSystem::create_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) < 0) return last_error();
  return {};
}

Result<void> PosixFileSystem::sync_directory(const std::string& path) {
  const Descriptor fd(retry([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!fd.valid()) return last_error();
  if (retry([&] { return ::fsync(fd.get()); }) < 0) return last_error();
  return {};
}

Result<std::vector<DirectoryEntry>> PosixFileSystem::list(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
  if (!directory) return last_error();
  std::vector<DirectoryEntry> entries;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(directory.get());
    if (entry == nullptr) break;
    std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    ASSIGN_OR_RETURN(const bool is_directory, entry_is_directory(directory.get(), *entry));
    entries.push_back({std::move(name), is_directory});
  }
  if (errno != 0) return last_error();
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return entries;
}

Result<FileInfo> PosixFileSystem::info(const std::string& path) {
  struct stat st;
  if (::stat(path.c_str(), &st) < 0) return last_error();
  return FileInfo{.size = static_cast<std::uint64_t>(st.st_size),
                  .is_directory = S_ISDIR(st.st_mode),
                  .modified_s = st.st_mtim.tv_sec};
}

Result<DiskSpace> PosixFileSystem::space(const std::string& path) {
  struct statvfs st;
  if (retry([&] { return ::statvfs(path.c_str(), &st); }) < 0) return last_error();
  return DiskSpace{.free_bytes = static_cast<std::uint64_t>(st.f_bavail) * st.f_frsize,
                   .total_bytes = static_cast<std::uint64_t>(st.f_blocks) * st.f_frsize};
}

Result<std::unique_ptr<DirectoryLock>> PosixFileSystem::lock(const std::string& path) {
  const int fd = retry([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644); });
  if (fd < 0) return last_error();
  auto lock = std::make_unique<PosixLock>(fd);
  if (retry([&] { return ::flock(fd, LOCK_EX | LOCK_NB); }) < 0) {
    if (errno == EWOULDBLOCK) return ErrorCode(StorageErrc::directory_in_use);
    return last_error();
  }
  return std::unique_ptr<DirectoryLock>(std::move(lock));
}

}  // namespace tidemill
