// What every FileSystem does, checked on the real and on the simulated disk.

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <string>

#include "storage/base/errors.h"
#include "storage/log/aligned_buffer.h"
#include "storage/seam/file_system.h"
#include "storage/seam/posix_file_system.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/temp_dir.h"

namespace tidemill {
namespace {

struct RealDisk {
  TempDir directory;
  PosixFileSystem files;
  std::string root() const { return directory.path(); }
};

struct SimulatedDisk {
  SimFileSystem files{1};
  SimulatedDisk() { EXPECT_TRUE(create_directories(files, root())); }
  std::string root() const { return "/some/where"; }
};

template <class Disk>
class FileSystemContract : public ::testing::Test {
 protected:
  Disk disk;
  FileSystem& fs = disk.files;

  std::string at(const std::string& name) { return disk.root() + "/" + name; }
  void write(const std::string& name, std::string_view text) {
    const auto file = fs.open(at(name), OpenMode::open_or_create);
    ASSERT_TRUE(file) << file.error().message();
    ASSERT_TRUE((*file)->truncate(0));
    ASSERT_TRUE((*file)->write_at(ByteOffset(0), std::as_bytes(std::span(text))));
  }
  std::string read(const std::string& name) {
    const auto text = read_file(fs, at(name), 1 << 20);
    return text ? *text : "(" + text.error().message() + ")";
  }
  std::string names(const std::string& directory) {
    const auto entries = fs.list(at(directory));
    if (!entries) return "(" + entries.error().message() + ")";
    std::string text;
    for (const auto& e : *entries) text += e.name + (e.is_directory ? "/ " : " ");
    return text;
  }
};

using Disks = ::testing::Types<RealDisk, SimulatedDisk>;
TYPED_TEST_SUITE(FileSystemContract, Disks);

template <class T>
int error_of(const Result<T>& result) {
  if (result) return 0;
  EXPECT_EQ(result.error().category(), boost::system::generic_category());
  return result.error().value();
}

TYPED_TEST(FileSystemContract, OpenModes) {
  EXPECT_EQ(error_of(this->fs.open(this->at("a"), OpenMode::read)), ENOENT);
  EXPECT_EQ(error_of(this->fs.open(this->at("a"), OpenMode::write)), ENOENT);
  EXPECT_EQ(error_of(this->fs.open(this->at("a"), OpenMode::create)), 0);
  EXPECT_EQ(error_of(this->fs.open(this->at("a"), OpenMode::create)), EEXIST);
  EXPECT_EQ(error_of(this->fs.open(this->at("a"), OpenMode::read)), 0);
  EXPECT_EQ(error_of(this->fs.open(this->at("a"), OpenMode::write)), 0);
  EXPECT_EQ(error_of(this->fs.open(this->at("a"), OpenMode::open_or_create)), 0);
  EXPECT_EQ(error_of(this->fs.open(this->at("b"), OpenMode::open_or_create)), 0);
  EXPECT_EQ(error_of(this->fs.open(this->at("no/b"), OpenMode::open_or_create)), ENOENT);
  EXPECT_EQ(error_of(this->fs.open(this->at("a/b"), OpenMode::open_or_create)), ENOTDIR);
  for (const auto mode : {OpenMode::read, OpenMode::write, OpenMode::open_or_create})
    EXPECT_EQ(error_of(this->fs.open(this->disk.root(), mode)), EISDIR);
  EXPECT_EQ(error_of(this->fs.open(this->disk.root(), OpenMode::create)), EEXIST);
}

TYPED_TEST(FileSystemContract, ReadsAndWritesAnywhere) {
  const auto file = this->fs.open(this->at("f"), OpenMode::create);
  ASSERT_TRUE(file);
  const auto write = [&](std::uint64_t offset, std::string_view text) {
    EXPECT_TRUE((*file)->write_at(ByteOffset(offset), std::as_bytes(std::span(text))));
  };
  write(2, "cde");
  EXPECT_EQ(this->read("f"), std::string("\0\0cde", 5));
  write(0, "ab");
  write(4, "EFG");
  EXPECT_EQ(this->read("f"), "abcdEFG");
  write(100, "");
  EXPECT_EQ(*(*file)->size(), 7u);

  std::byte into[10];
  EXPECT_EQ(*(*file)->read_at(ByteOffset(5), into), 2u);  // fewer only at the end
  EXPECT_EQ(static_cast<char>(into[0]), 'F');
  EXPECT_EQ(*(*file)->read_at(ByteOffset(7), into), 0u);
  EXPECT_EQ(*(*file)->read_at(ByteOffset(1000), into), 0u);
  EXPECT_TRUE((*file)->sync_data());
}

TYPED_TEST(FileSystemContract, TruncateCutsAndGrowsWithZeros) {
  this->write("f", "abcdef");
  const auto file = this->fs.open(this->at("f"), OpenMode::write);
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->truncate(3));
  EXPECT_EQ(this->read("f"), "abc");
  ASSERT_TRUE((*file)->truncate(5));
  EXPECT_EQ(this->read("f"), std::string("abc\0\0", 5));
}

TYPED_TEST(FileSystemContract, ReadOnlyFilesAreNotWritten) {
  this->write("f", "abc");
  const auto file = this->fs.open(this->at("f"), OpenMode::read);
  ASSERT_TRUE(file);
  EXPECT_FALSE((*file)->write_at(ByteOffset(0), std::as_bytes(std::span("x", 1))));
  EXPECT_FALSE((*file)->truncate(0));
  EXPECT_EQ(this->read("f"), "abc");
}

TYPED_TEST(FileSystemContract, RenameReplaces) {
  this->write("a", "A");
  this->write("b", "B");
  ASSERT_TRUE(this->fs.rename(this->at("a"), this->at("b")));
  EXPECT_EQ(this->names(""), "b ");
  EXPECT_EQ(this->read("b"), "A");
  EXPECT_EQ(error_of(this->fs.rename(this->at("a"), this->at("c"))), ENOENT);
  EXPECT_EQ(error_of(this->fs.rename(this->at("b"), this->at("no/c"))), ENOENT);
  ASSERT_TRUE(this->fs.create_directory(this->at("d")));
  EXPECT_EQ(error_of(this->fs.rename(this->at("b"), this->at("d"))), EISDIR);
  ASSERT_TRUE(this->fs.rename(this->at("b"), this->at("d/b")));
  ASSERT_TRUE(this->fs.rename(this->at("d"), this->at("e")));
  EXPECT_EQ(this->names(""), "e/ ");
  EXPECT_EQ(this->read("e/b"), "A");
  EXPECT_EQ(error_of(this->fs.rename(this->at("e"), this->at("e/f"))), EINVAL);
}

TYPED_TEST(FileSystemContract, AnOpenFileFollowsItsName) {
  this->write("a", "A");
  const auto file = this->fs.open(this->at("a"), OpenMode::write);
  ASSERT_TRUE(file);
  ASSERT_TRUE(this->fs.rename(this->at("a"), this->at("b")));
  ASSERT_TRUE((*file)->write_at(ByteOffset(0), std::as_bytes(std::span("Z", 1))));
  EXPECT_EQ(this->read("b"), "Z");
  ASSERT_TRUE(this->fs.remove(this->at("b")));
  EXPECT_EQ(*(*file)->size(), 1u);  // lives on without a name
}

TYPED_TEST(FileSystemContract, LinkGivesASecondName) {
  this->write("a", "A");
  ASSERT_TRUE(this->fs.link(this->at("a"), this->at("b")));
  EXPECT_EQ(error_of(this->fs.link(this->at("a"), this->at("b"))), EEXIST);
  EXPECT_EQ(error_of(this->fs.link(this->at("no"), this->at("c"))), ENOENT);
  ASSERT_TRUE(this->fs.remove(this->at("a")));
  EXPECT_EQ(this->read("b"), "A");
}

TYPED_TEST(FileSystemContract, RemoveTakesFilesAndEmptyDirectories) {
  this->write("a", "A");
  ASSERT_TRUE(this->fs.create_directory(this->at("d")));
  this->write("d/x", "x");
  EXPECT_EQ(error_of(this->fs.remove(this->at("no"))), ENOENT);
  EXPECT_EQ(error_of(this->fs.remove(this->at("d"))), ENOTEMPTY);
  ASSERT_TRUE(this->fs.remove(this->at("d/x")));
  ASSERT_TRUE(this->fs.remove(this->at("d")));
  ASSERT_TRUE(this->fs.remove(this->at("a")));
  EXPECT_EQ(this->names(""), "");
}

TYPED_TEST(FileSystemContract, Directories) {
  ASSERT_TRUE(this->fs.create_directory(this->at("d")));
  EXPECT_EQ(error_of(this->fs.create_directory(this->at("d"))), EEXIST);
  EXPECT_EQ(error_of(this->fs.create_directory(this->at("x/y"))), ENOENT);
  for (const char* name : {"d/c", "d/a", "d/B"}) this->write(name, "");
  ASSERT_TRUE(this->fs.create_directory(this->at("d/b")));
  EXPECT_EQ(this->names("d"), "B a b/ c ");
  EXPECT_EQ(error_of(this->fs.list(this->at("no"))), ENOENT);
  EXPECT_EQ(error_of(this->fs.list(this->at("d/a"))), ENOTDIR);
  EXPECT_TRUE(this->fs.sync_directory(this->at("d")));
  EXPECT_EQ(error_of(this->fs.sync_directory(this->at("no"))), ENOENT);
}

TYPED_TEST(FileSystemContract, InfoAndSpace) {
  this->write("a", "12345");
  EXPECT_EQ(this->fs.info(this->at("a"))->size, 5u);
  EXPECT_FALSE(this->fs.info(this->at("a"))->is_directory);
  EXPECT_TRUE(this->fs.info(this->disk.root())->is_directory);
  EXPECT_EQ(error_of(this->fs.info(this->at("no"))), ENOENT);
  const auto space = this->fs.space(this->disk.root());
  ASSERT_TRUE(space);
  EXPECT_GT(space->free_bytes, 0u);
  EXPECT_GE(space->total_bytes, space->free_bytes);
  EXPECT_EQ(error_of(this->fs.space(this->at("no"))), ENOENT);
}

TYPED_TEST(FileSystemContract, ALockExcludesUntilItGoes) {
  auto lock = this->fs.lock(this->at("lock"));
  ASSERT_TRUE(lock);
  const auto second = this->fs.lock(this->at("lock"));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), StorageErrc::directory_in_use);
  EXPECT_TRUE(this->fs.lock(this->at("other")));
  EXPECT_TRUE(this->fs.open(this->at("lock"), OpenMode::read));  // fcntl's lock would be lost by closing this
  EXPECT_FALSE(this->fs.lock(this->at("lock")));
  lock->reset();
  EXPECT_TRUE(this->fs.lock(this->at("lock")));
  EXPECT_EQ(error_of(this->fs.lock(this->at("no/lock"))), ENOENT);
}

TYPED_TEST(FileSystemContract, Conveniences) {
  ASSERT_TRUE(create_directories(this->fs, this->at("x/y//z/")));
  ASSERT_TRUE(create_directories(this->fs, this->at("x/y/z")));
  this->write("x/y/f", "text");
  EXPECT_EQ(error_of(create_directories(this->fs, this->at("x/y/f"))), ENOTDIR);
  EXPECT_EQ(error_of(create_directories(this->fs, this->at("x/y/f/g"))), ENOTDIR);
  EXPECT_TRUE(exists(this->fs, this->at("x/y/f")));
  EXPECT_FALSE(exists(this->fs, this->at("x/y/g")));
  EXPECT_EQ(error_of(read_file(this->fs, this->at("x/y/f"), 3)), EFBIG);
  EXPECT_EQ(*read_file(this->fs, this->at("x/y/f"), 4), "text");
  EXPECT_EQ(error_of(read_file(this->fs, this->at("x/y/g"), 4)), ENOENT);
  ASSERT_TRUE(create_directories_below(this->fs, this->disk.root(), "x/y/w/v"));
  ASSERT_TRUE(create_directories_below(this->fs, this->disk.root(), "x/y/w/v"));
  EXPECT_EQ(this->names("x/y/w"), "v/ ");
  EXPECT_EQ(error_of(create_directories_below(this->fs, this->disk.root(), "x/y/f/g")), ENOTDIR);
  ASSERT_TRUE(remove_tree(this->fs, this->at("x")));
  EXPECT_FALSE(exists(this->fs, this->at("x")));
  EXPECT_EQ(error_of(remove_tree(this->fs, this->at("x"))), ENOENT);
}

TYPED_TEST(FileSystemContract, WriteThroughIsWholeBlocksAndReadBackByOthers) {
  EXPECT_EQ(error_of(this->fs.open(this->at("f"), OpenMode::write_through)), ENOENT);
  this->write("f", std::string(16384, 'a'));
  const auto through = this->fs.open(this->at("f"), OpenMode::write_through);
  if (error_of(through) == EINVAL) GTEST_SKIP() << "this file system has no O_DIRECT";
  ASSERT_TRUE(through) << through.error().message();
  AlignedBuffer buffer;
  const std::span<std::byte> block(buffer.reserve(8192), 8192);
  std::fill(block.begin(), block.end(), std::byte{'b'});
  EXPECT_EQ(error_of((*through)->write_at(ByteOffset(4096), block)), 0);
  EXPECT_EQ(error_of((*through)->write_at(ByteOffset(100), block)), EINVAL);
  EXPECT_EQ(error_of((*through)->write_at(ByteOffset(0), block.subspan(0, 1000))), EINVAL);
  EXPECT_EQ(this->read("f"), std::string(4096, 'a') + std::string(8192, 'b') + std::string(4096, 'a'));
}

TYPED_TEST(FileSystemContract, HintsCannotFail) {
  this->write("f", "abc");
  const auto file = this->fs.open(this->at("f"), OpenMode::write);
  ASSERT_TRUE(file);
  (*file)->start_writeback(ByteOffset(0), 3);
  ASSERT_TRUE((*file)->sync_data());
  (*file)->read_ahead(ByteOffset(0), 3);
  (*file)->drop_cache(ByteOffset(0), 3);
  EXPECT_EQ(this->read("f"), "abc");
}

}  // namespace
}  // namespace tidemill
