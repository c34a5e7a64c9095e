#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/ids.h"
#include "storage/base/time.h"

namespace tidemill {

// BACKUP/TIDEMILL-BACKUP: what a backup holds. docs/formats/backup.md is the page; its example is a golden test.
inline constexpr std::uint32_t kBackupVersion = 1;
inline constexpr const char* kBackupManifest = "TIDEMILL-BACKUP";

struct BackupStream {
  StreamId id;
  Incarnation incarnation;
  Epoch epoch;
  Sequence first;     // record that is held
  SegmentId segment;  // the last one
  ByteOffset end;     // of what counts in it
  Sequence last;
  std::string name;
  bool operator==(const BackupStream&) const = default;
};

struct BackupFile {
  std::uint64_t bytes = 0;
  std::uint64_t hash = 0;  // XXH3-64
  std::string path;        // below the backup
  std::string target;      // below the data directory
  bool operator==(const BackupFile&) const = default;
};

struct BackupContent {
  std::string instance;      // of the data directory
  std::uint64_t number = 0;  // of the backup, counted in its directory; 0: none was finished yet
  WallTime taken{};
  std::vector<BackupStream> streams;
  std::vector<BackupFile> files;
  bool operator==(const BackupContent&) const = default;
};

std::string encode_backup(const BackupContent& content);
// StorageErrc::damaged, layout_too_new (a later version).
enum class BackupRead { good, damaged, too_new };
BackupRead decode_backup(std::string_view text, BackupContent& content);

}  // namespace tidemill
