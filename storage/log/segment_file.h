#pragma once

#include <memory>
#include <optional>
#include <string>

#include "storage/base/logger.h"
#include "storage/base/result.h"
#include "storage/log/segment_format.h"
#include "storage/seam/file_system.h"

namespace tidemill {

// A segment file that is in use: open, header read or written. Shared by the writer and all readers; the file may be
// read by many threads at once.
struct SegmentFile {
  SegmentName name;
  std::string path;
  std::unique_ptr<File> file;
  SegmentHeader header;
};

// Opens an existing one of the log `incarnation`; of any log, where that is not known. StorageErrc::damaged when
// neither copy of the header is valid, layout_too_new when both were written by a later version.
Result<std::shared_ptr<SegmentFile>> open_segment(FileSystem& fs, const std::string& directory, const SegmentName& name,
                                                  OpenMode mode, std::optional<Incarnation> incarnation,
                                                  Logger& logger);

// A file of zeros that will be a segment. Made ahead of time, step by step, in the background, or at once by whoever
// needs it now. Removes the file unless it was put to use.
class SegmentFill {
 public:
  static Result<std::shared_ptr<SegmentFill>> create(FileSystem& fs, std::string path, std::uint64_t bytes);
  ~SegmentFill();

  // Writes some more, about 4 MiB.
  Result<void> step();
  bool filled() const { return written_ == bytes_; }  // not yet flushed
  Result<void> sync();
  bool synced() const { return synced_; }
  std::uint64_t bytes() const { return bytes_; }

  // Writes the header and, behind it, the first commit, flushes both and only then gives the file its name, which is
  // flushed too. So a file with a segment's name always has a durable header. A failed flush or name leaves open what
  // is on disk: `unknown` says so; before that point nothing has happened.
  struct PutToUse {
    std::shared_ptr<SegmentFile> segment;
    ErrorCode error;
    bool unknown = false;
  };
  PutToUse put_to_use(const std::string& directory, SegmentHeader header, std::span<const std::byte> commit);

 private:
  SegmentFill(FileSystem& fs, std::string path, std::uint64_t bytes, std::unique_ptr<File> file);

  FileSystem& fs_;
  std::string path_;
  std::uint64_t bytes_;
  std::unique_ptr<File> file_;
  std::uint64_t written_ = 0;
  bool synced_ = false;
};

}  // namespace tidemill
