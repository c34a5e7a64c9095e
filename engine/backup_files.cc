#include "engine/backup_files.h"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <span>

#include "engine/backup.h"
#include "engine/keys/key_text.h"
#include "storage/base/hash.h"

namespace tidemill {
namespace {

constexpr std::size_t kCopyBytes = 1 << 20;
constexpr std::uint64_t kManifestBytesMax = 1ull << 30;

class BackupCategory final : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "tidemill.backup"; }
  std::string message(int code) const override {
    switch (static_cast<BackupErrc>(code)) {
      case BackupErrc::not_a_backup:
        return "the directory holds files that are not a backup's";
      case BackupErrc::other_instance:
        return "the directory holds backups of another data directory";
      case BackupErrc::backup_in_use:
        return "a backup is being made there";
      case BackupErrc::backup_damaged:
        return "the backup is damaged";
      case BackupErrc::backup_too_new:
        return "the backup was made by a later version of Tidemill";
      case BackupErrc::no_backup:
        return "there is no finished backup";
      case BackupErrc::target_not_empty:
        return "the data directory is not empty";
      case BackupErrc::changing_too_fast:
        return "files went away again and again while they were copied";
    }
    return "unknown backup error";
  }
};

}  // namespace

ErrorCode make_error_code(BackupErrc e) {
  static const BackupCategory category;
  return {static_cast<int>(e), category};
}

Result<CopiedFile> copy_file(FileSystem& files, const std::string& from, const std::string& into,
                             std::uint64_t bytes_max) {
  ASSIGN_OR_RETURN(const auto source, files.open(from, OpenMode::read));
  std::unique_ptr<File> copy;
  if (!into.empty()) {
    ASSIGN_OR_RETURN(copy, files.open(into, OpenMode::create));
  }
  CopiedFile done;
  Xxh3Stream hash;
  std::string buffer(kCopyBytes, '\0');
  while (done.bytes < bytes_max) {
    const auto part = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), bytes_max - done.bytes));
    ASSIGN_OR_RETURN(const std::size_t n, source->read_at(ByteOffset(done.bytes), std::as_writable_bytes(part)));
    if (n == 0) break;
    hash.add({buffer.data(), n});
    if (copy) {
      RETURN_IF_ERROR(copy->write_at(ByteOffset(done.bytes), std::as_bytes(part.first(n))));
      copy->start_writeback(ByteOffset(done.bytes), n);
    }
    source->drop_cache(ByteOffset(done.bytes), n);
    done.bytes += n;
  }
  if (copy) {
    RETURN_IF_ERROR(copy->sync_data());
    copy->drop_cache(ByteOffset(0), done.bytes);
  }
  done.hash = hash.value();
  return done;
}

Result<CopiedFile> copy_private_file(FileSystem& files, PrivateFiles& private_files, const std::string& from,
                                     const std::string& into) {
  ASSIGN_OR_RETURN(SecretText text, [&]() -> Result<SecretText> {
    ASSIGN_OR_RETURN(std::string read, read_file(files, from, 4096));
    SecretText secret(read);
    wipe(read);
    return secret;
  }());
  RETURN_IF_ERROR(private_files.create(into));
  ASSIGN_OR_RETURN(const auto copy, files.open(into, OpenMode::write));
  RETURN_IF_ERROR(copy->write_at(ByteOffset(0), std::as_bytes(std::span(text.view()))));
  RETURN_IF_ERROR(copy->sync_data());
  Xxh3Stream hash;
  hash.add(text.view());
  return CopiedFile{text.view().size(), hash.value()};
}

Result<void> replace_file(FileSystem& files, const std::string& directory, const std::string& name,
                          const std::string& text) {
  const std::string aside = directory + "/" + name + ".tmp";
  {
    ASSIGN_OR_RETURN(const auto file, files.open(aside, OpenMode::open_or_create));
    RETURN_IF_ERROR(file->truncate(0));
    RETURN_IF_ERROR(file->write_at(ByteOffset(0), std::as_bytes(std::span(text))));
    RETURN_IF_ERROR(file->sync_data());
  }
  RETURN_IF_ERROR(files.rename(aside, directory + "/" + name));
  return files.sync_directory(directory);
}

Result<BackupContent> read_backup(FileSystem& files, const std::string& directory) {
  const auto text = read_file(files, directory + "/" + kBackupManifest, kManifestBytesMax);
  if (!text) {
    if (text.error() == ErrorCode(ENOENT, boost::system::generic_category()) && exists(files, directory))
      return make_error_code(BackupErrc::not_a_backup);
    return text.error();
  }
  BackupContent content;
  switch (decode_backup(*text, content)) {
    case BackupRead::good:
      return content;
    case BackupRead::too_new:
      return make_error_code(BackupErrc::backup_too_new);
    case BackupRead::damaged:
      break;
  }
  return make_error_code(BackupErrc::backup_damaged);
}

}  // namespace tidemill
