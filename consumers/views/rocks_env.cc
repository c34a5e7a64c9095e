#include "consumers/views/rocks_env.h"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/system_clock.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <map>
#include <mutex>

#include "storage/base/logger.h"
#include "storage/seam/clock.h"
#include "storage/seam/file_system.h"

namespace tidemill::views {
namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

IOStatus status_of(const ErrorCode& error, const std::string& path) {
  if (error == ErrorCode(ENOENT, boost::system::generic_category())) {
    return IOStatus::PathNotFound(path, error.message());
  }
  // From a full disk RocksDB recovers by itself, within five seconds of there being room.
  if (error == ErrorCode(ENOSPC, boost::system::generic_category())) return IOStatus::NoSpace(path, error.message());
  return IOStatus::IOError(path, error.message());
}

template <class T>
IOStatus status_of(const Result<T>& result, const std::string& path) {
  return result ? IOStatus::OK() : status_of(result.error(), path);
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

IOStatus read(File& file, const std::string& path, std::uint64_t offset, std::size_t size, Slice* result,
              char* scratch) {
  const auto got = file.read_at(ByteOffset(offset), std::as_writable_bytes(std::span(scratch, size)));
  *result = Slice(scratch, got ? *got : 0);
  return status_of(got, path);
}

class SequentialFile final : public rocksdb::FSSequentialFile {
 public:
  SequentialFile(std::string path, std::unique_ptr<File> file) : path_(std::move(path)), file_(std::move(file)) {}

  IOStatus Read(std::size_t n, const IOOptions&, Slice* result, char* scratch, IODebugContext*) override {
    const IOStatus status = read(*file_, path_, offset_, n, result, scratch);
    offset_ += result->size();
    return status;
  }
  IOStatus Skip(std::uint64_t n) override {
    offset_ += n;
    return IOStatus::OK();
  }

 private:
  const std::string path_;
  const std::unique_ptr<File> file_;
  std::uint64_t offset_ = 0;
};

class RandomAccessFile final : public rocksdb::FSRandomAccessFile {
 public:
  RandomAccessFile(std::string path, std::unique_ptr<File> file) : path_(std::move(path)), file_(std::move(file)) {}

  IOStatus Read(std::uint64_t offset, std::size_t n, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    return read(*file_, path_, offset, n, result, scratch);
  }

 private:
  const std::string path_;
  const std::unique_ptr<File> file_;
};

class WritableFile final : public rocksdb::FSWritableFile {
 public:
  WritableFile(std::string path, std::unique_ptr<File> file) : path_(std::move(path)), file_(std::move(file)) {}

  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    if (failed_.ok()) {
      failed_ =
          status_of(file_->write_at(ByteOffset(size_), std::as_bytes(std::span(data.data(), data.size()))), path_);
    }
    size_ += data.size();  // where RocksDB believes to be
    return IOStatus::OK();
  }
  using FSWritableFile::Append;
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    if (failed_.ok()) failed_ = status_of(file_->sync_data(), path_);
    return failed_;
  }
  IOStatus RangeSync(std::uint64_t offset, std::uint64_t size, const IOOptions&, IODebugContext*) override {
    file_->start_writeback(ByteOffset(offset), size);
    return IOStatus::OK();
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override {
    file_.reset();
    return failed_;
  }
  std::uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return size_; }

 private:
  const std::string path_;
  std::unique_ptr<File> file_;
  std::uint64_t size_ = 0;
  IOStatus failed_;  // for good: what a failed write or sync left behind is not known
};

class Directory final : public rocksdb::FSDirectory {
 public:
  Directory(FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return status_of(files_.sync_directory(path_), path_); }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  FileSystem& files_;
  const std::string path_;
};

struct Lock final : rocksdb::FileLock {
  std::unique_ptr<DirectoryLock> held;
};

class SeamFileSystem final : public rocksdb::FileSystem {
 public:
  explicit SeamFileSystem(tidemill::FileSystem& files) : files_(files) {}
  const char* Name() const override { return "tidemill"; }

  IOStatus NewSequentialFile(const std::string& path, const FileOptions&,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result, IODebugContext*) override {
    return open<SequentialFile>(path, OpenMode::read, result);
  }
  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions&,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* result, IODebugContext*) override {
    return open<RandomAccessFile>(path, OpenMode::read, result);
  }
  IOStatus NewWritableFile(const std::string& path, const FileOptions&,
                           std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext*) override {
    // A new file, also where one of the name is there, which its readers keep.
    result->reset();
    if (exists(files_, path)) {
      if (const auto removed = files_.remove(path); !removed) return status_of(removed, path);
    }
    return open<WritableFile>(path, OpenMode::create, result);
  }
  IOStatus NewDirectory(const std::string& path, const IOOptions&, std::unique_ptr<rocksdb::FSDirectory>* result,
                        IODebugContext*) override {
    result->reset();
    if (const auto info = files_.info(path); !info) return status_of(info, path);
    *result = std::make_unique<Directory>(files_, path);
    return IOStatus::OK();
  }

  IOStatus FileExists(const std::string& path, const IOOptions&, IODebugContext*) override {
    const auto info = files_.info(path);
    if (info) return IOStatus::OK();
    const IOStatus status = status_of(info, path);
    // Where old WALs would be, if there were any. A checkpoint asks for it, and aborts when it gets an error
    // (WalManager::GetSortedWalFiles asserts of the wrong status).
    if (path.ends_with("/archive")) return IOStatus::NotFound(path);
    return status.IsPathNotFound() ? IOStatus::NotFound(path) : status;
  }
  IOStatus GetChildren(const std::string& path, const IOOptions&, std::vector<std::string>* result,
                       IODebugContext*) override {
    result->clear();
    const auto entries = files_.list(path);
    if (!entries) {
      const IOStatus status = status_of(entries, path);
      return status.IsPathNotFound() ? IOStatus::NotFound(path) : status;
    }
    for (const auto& entry : *entries) result->push_back(entry.name);
    return IOStatus::OK();
  }
  IOStatus DeleteFile(const std::string& path, const IOOptions&, IODebugContext*) override {
    return status_of(files_.remove(path), path);
  }
  IOStatus DeleteDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    return status_of(files_.remove(path), path);
  }
  IOStatus CreateDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    return status_of(files_.create_directory(path), path);
  }
  IOStatus CreateDirIfMissing(const std::string& path, const IOOptions&, IODebugContext*) override {
    if (const auto info = files_.info(path); info && info->is_directory) return IOStatus::OK();
    return status_of(files_.create_directory(path), path);
  }
  IOStatus GetFileSize(const std::string& path, const IOOptions&, std::uint64_t* size, IODebugContext*) override {
    const auto info = files_.info(path);
    *size = info ? info->size : 0;
    return status_of(info, path);
  }
  IOStatus GetFileModificationTime(const std::string& path, const IOOptions&, std::uint64_t* time,
                                   IODebugContext*) override {
    const auto info = files_.info(path);
    *time = info ? static_cast<std::uint64_t>(info->modified_s) : 0;
    return status_of(info, path);
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions&, IODebugContext*) override {
    if (const auto synced = files_.sync_directory(parent_of(from)); !synced) return status_of(synced, from);
    return status_of(files_.rename(from, to), from);
  }
  IOStatus LinkFile(const std::string& from, const std::string& to, const IOOptions&, IODebugContext*) override {
    return status_of(files_.link(from, to), from);
  }
  IOStatus LockFile(const std::string& path, const IOOptions&, rocksdb::FileLock** lock, IODebugContext*) override {
    *lock = nullptr;
    auto held = files_.lock(path);
    if (!held) return status_of(held, path);
    auto made = std::make_unique<Lock>();
    made->held = std::move(*held);
    *lock = made.release();  // UnlockFile() takes it back
    return IOStatus::OK();
  }
  IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions&, IODebugContext*) override {
    delete static_cast<Lock*>(lock);
    return IOStatus::OK();
  }
  IOStatus GetTestDirectory(const IOOptions&, std::string*, IODebugContext*) override {
    return IOStatus::NotSupported("GetTestDirectory");
  }
  IOStatus GetAbsolutePath(const std::string& path, const IOOptions&, std::string* result, IODebugContext*) override {
    *result = path;
    return IOStatus::OK();
  }
  IOStatus GetFreeSpace(const std::string& path, const IOOptions&, std::uint64_t* free, IODebugContext*) override {
    const auto space = files_.space(path);
    *free = space ? space->free_bytes : 0;
    return status_of(space, path);
  }
  IOStatus IsDirectory(const std::string& path, const IOOptions&, bool* is_directory, IODebugContext*) override {
    const auto info = files_.info(path);
    *is_directory = info && info->is_directory;
    return status_of(info, path);
  }

 private:
  template <class Wrapper, class Base>
  IOStatus open(const std::string& path, OpenMode mode, std::unique_ptr<Base>* result) {
    result->reset();
    auto file = files_.open(path, mode);
    if (!file) return status_of(file, path);
    *result = std::make_unique<Wrapper>(path, std::move(*file));
    return IOStatus::OK();
  }

  tidemill::FileSystem& files_;
};

class SeamClock final : public rocksdb::SystemClockWrapper {
 public:
  explicit SeamClock(Clock& clock) : SystemClockWrapper(SystemClock::Default()), clock_(clock) {}
  const char* Name() const override { return "tidemill"; }
  void SleepForMicroseconds(int micros) override { clock_.sleep(std::chrono::microseconds(micros)); }

 private:
  Clock& clock_;
};

class SeamEnv final : public rocksdb::EnvWrapper {
 public:
  SeamEnv(tidemill::FileSystem& files, Clock& clock)
      : EnvWrapper(rocksdb::NewCompositeEnv(std::make_shared<SeamFileSystem>(files))) {
    system_clock_ = std::make_shared<SeamClock>(clock);
  }
  const char* Name() const override { return "tidemill"; }
  void SleepForMicroseconds(int micros) override { system_clock_->SleepForMicroseconds(micros); }
};

class SeamLogger final : public rocksdb::Logger {
 public:
  SeamLogger(tidemill::Logger& logger, Clock& clock)
      : rocksdb::Logger(rocksdb::WARN_LEVEL), logger_(logger), clock_(clock) {}

  void LogHeader(const char*, va_list) override {}  // its options, at each start
  using rocksdb::Logger::Logv;
  void Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    if (level < GetInfoLogLevel()) return;
    // Its own checkpoint asks twice that no file be removed, and is told so.
    if (std::string_view(format).find("File Deletions ") != std::string_view::npos) return;
    if (!due(format)) return;
    char text[512];  // longer ones are cut
    const int length = std::vsnprintf(text, sizeof text, format, arguments);
    if (length < 0) return;
    std::string_view said(text, std::min<std::size_t>(static_cast<std::size_t>(length), sizeof text - 1));
    while (said.ends_with('\n')) said.remove_suffix(1);
    const bool error = level >= rocksdb::ERROR_LEVEL;
    logger_.write(error ? LogLevel::error : LogLevel::warning, "views: the database says",
                  {{"text", std::string(said)}});
  }

 private:
  // Its lines differ in their numbers, so nobody behind us could tell that they repeat.
  bool due(const char* format) {
    const MonotonicTime now = clock_.monotonic();
    const std::lock_guard lock(mutex_);
    const auto [it, first] = last_.emplace(format, now);
    if (!first && now - it->second < std::chrono::minutes(1)) return false;
    it->second = now;
    return true;
  }

  tidemill::Logger& logger_;
  Clock& clock_;
  std::mutex mutex_;
  std::map<const char*, MonotonicTime> last_;  // by its format, which is a literal
};

}  // namespace

std::unique_ptr<rocksdb::Env> make_rocks_env(FileSystem& files, Clock& clock) {
  return std::make_unique<SeamEnv>(files, clock);
}

std::shared_ptr<rocksdb::Logger> make_rocks_logger(Logger& logger, Clock& clock) {
  return std::make_shared<SeamLogger>(logger, clock);
}

}  // namespace tidemill::views
