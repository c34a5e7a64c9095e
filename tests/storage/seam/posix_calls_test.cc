// Below the seam: the kernel may interrupt a call or take part of its bytes whenever it likes. This program has its own
// pread, pwrite, fdatasync, fsync and ftruncate, in place of the C library's, that do so when told to.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <span>
#include <string>

#include "storage/base/errors.h"
#include "storage/seam/posix_file_system.h"
#include "tests/support/temp_dir.h"

namespace {

// Of each `period` calls the n-th goes wrong; 0: none does.
struct Trouble {
  std::atomic<unsigned> interrupted{0}, part{0}, fails{0};
  std::atomic<int> error{EIO};
  std::atomic<std::uint64_t> calls{0}, syncs{0};
};
Trouble trouble;

bool now(const std::atomic<unsigned>& period, std::uint64_t call) {
  return period != 0 && call % period == period - 1;
}

// The answer, unless the call is to go through: then with so many bytes.
bool goes_wrong(size_t* length) {
  const std::uint64_t call = trouble.calls++;
  if (now(trouble.fails, call)) {
    errno = trouble.error;
    return true;
  }
  if (now(trouble.interrupted, call)) {
    errno = EINTR;
    return true;
  }
  if (length != nullptr && *length > 1 && now(trouble.part, call)) *length = 1 + *length / 3;
  return false;
}

}  // namespace

extern "C" {
ssize_t pread(int fd, void* into, size_t length, off_t offset) {
  return goes_wrong(&length) ? -1 : ::syscall(SYS_pread64, fd, into, length, offset);
}
ssize_t pwrite(int fd, const void* bytes, size_t length, off_t offset) {
  return goes_wrong(&length) ? -1 : ::syscall(SYS_pwrite64, fd, bytes, length, offset);
}
int fdatasync(int fd) {
  ++trouble.syncs;
  return goes_wrong(nullptr) ? -1 : static_cast<int>(::syscall(SYS_fdatasync, fd));
}
int fsync(int fd) {
  ++trouble.syncs;
  return goes_wrong(nullptr) ? -1 : static_cast<int>(::syscall(SYS_fsync, fd));
}
int ftruncate(int fd, off_t length) noexcept {
  return goes_wrong(nullptr) ? -1 : static_cast<int>(::syscall(SYS_ftruncate, fd, length));
}
}

namespace tidemill {
namespace {

class PosixCalls : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = files.open(path, OpenMode::create);
    ASSERT_TRUE(opened);
    file = std::move(*opened);
    for (std::size_t i = 0; i < 10'000; ++i) text += static_cast<char>('a' + i * i % 26);
  }
  void TearDown() override { trouble.interrupted = trouble.part = trouble.fails = 0; }

  Result<void> write() { return file->write_at(ByteOffset(3), std::as_bytes(std::span(text))); }
  std::string read() {
    std::string got(text.size() + 100, '\0');
    const auto n = file->read_at(ByteOffset(3), std::as_writable_bytes(std::span(got)));
    EXPECT_TRUE(n) << n.error().message();
    got.resize(n ? *n : 0);
    return got;
  }

  TempDir directory;
  std::string path = directory.path() + "/file";
  PosixFileSystem files;
  std::unique_ptr<File> file;
  std::string text;
};

TEST_F(PosixCalls, InterruptedOnesAreMadeAgain) {
  trouble.interrupted = 2;
  const std::uint64_t before = trouble.calls;
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(write());
    ASSERT_TRUE(file->sync_data());
    EXPECT_EQ(read(), text);
    ASSERT_TRUE(file->truncate(text.size() + 3));
    ASSERT_TRUE(files.sync_directory(directory.path()));
  }
  EXPECT_GE(trouble.calls - before, 2u * 4 * 5 - 4);  // about every other one was in vain
}

TEST_F(PosixCalls, WhatWentInPartGoesOn) {
  for (const unsigned period : {1u, 2u, 3u}) {
    trouble.part = period;
    trouble.calls = 0;
    for (int i = 0; i < 4; ++i) {
      ASSERT_TRUE(write());
      EXPECT_EQ(read(), text);
      ASSERT_TRUE(file->truncate(0));
    }
    EXPECT_GT(trouble.calls, 4u * 3);  // one each would be all, were none cut
  }
}

TEST_F(PosixCalls, InterruptedAndInPart) {
  trouble.part = 1;
  trouble.interrupted = 3;
  ASSERT_TRUE(write());
  EXPECT_EQ(read(), text);
}

// A flush that failed is not asked for again: the next one would succeed and have saved nothing.
TEST_F(PosixCalls, OtherErrorsAreFinal) {
  for (const int error : {EIO, ENOSPC}) {
    trouble.error = error;
    trouble.fails = 1;
    const std::uint64_t syncs = trouble.syncs;
    EXPECT_EQ(write().error().value(), error);
    EXPECT_EQ(file->sync_data().error().value(), error);
    EXPECT_EQ(files.sync_directory(directory.path()).error().value(), error);
    EXPECT_EQ(file->truncate(1).error().value(), error);
    EXPECT_EQ(trouble.syncs - syncs, 2u);
    trouble.fails = 0;
    EXPECT_TRUE(write());
  }
}

// The limit of the process, and not the disk, is what the error names.
TEST_F(PosixCalls, NoDescriptorLeftIsAnErrorOfItsOwn) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const auto attempt = [&] {
    const auto opened = files.open(path, OpenMode::read);
    const auto listed = files.list(directory.path());
    const auto synced = files.sync_directory(directory.path());
    const auto locked = files.lock(directory.path() + "/lock");
    return std::vector<ErrorCode>{opened ? ErrorCode() : opened.error(), listed ? ErrorCode() : listed.error(),
                                  synced ? ErrorCode() : synced.error(), locked ? ErrorCode() : locked.error()};
  };
  // UndefinedBehaviorSanitizer looks through a pipe at the memory of a class that it meets for the first time, and
  // finds fault with what it cannot look at. So it meets all of them before.
  EXPECT_EQ(attempt(), std::vector<ErrorCode>(4));
  EXPECT_TRUE(make_error_code(StorageErrc::too_many_files).failed());
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const std::vector<ErrorCode> errors = attempt();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  for (const ErrorCode& error : errors) {
    EXPECT_EQ(error, StorageErrc::too_many_files) << error.message();
    EXPECT_NE(error.message().find("LimitNOFILE"), std::string::npos);
    EXPECT_NE(error.message().find("ulimit -n"), std::string::npos);
  }
  EXPECT_TRUE(write()) << "what is open stays open";
}

}  // namespace
}  // namespace tidemill
