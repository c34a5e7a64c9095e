#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "consumers/archive/manifest_format.h"
#include "storage/base/hash.h"
#include "storage/base/result.h"
#include "storage/base/time.h"
#include "storage/log/record.h"
#include "storage/seam/env.h"
#include "storage/seam/file_system.h"

namespace tidemill::archive {

// The record as a line, line feed included: JSON as stored, bytes as {"_base64":"..."}. Replaces `line`.
void encode_line(const Record& record, std::string& line);

// 2026/01/02/03/retail-s0003-20260102T030405Z-00000000000000000001.txt: by the first record's arrival, so that a file
// made again has the same name.
std::string text_path(std::string_view stream, std::string_view unit, WallTime arrival, Sequence first);
// The name aside, while it is being written.
std::string part_path(const std::string& text_path);
std::string directory_of(const std::string& path);

// A text file that is being written, under its name aside. Used by one task at a time. Nothing is on disk before sync()
// returned without error; then the bytes are, the name is not. Holds at most 64 KiB (or one line) in memory.
class TextFile {
 public:
  // Its directory exists. Whatever stands there under the name aside is leftover and goes.
  static Result<std::unique_ptr<TextFile>> create(Env& env, const std::string& root, const std::string& path);

  // An error (ENOSPC ...) leaves the line out; adding it again is right.
  Result<void> add(std::string_view line, Sequence sequence);
  // An error of the flush itself: broken() from then on, no use but to be made again.
  Result<void> sync();
  bool broken() const { return broken_; }

  const std::string& path() const { return path_; }  // as it will be called, below the archive's directory
  std::uint64_t bytes() const { return written_ + buffer_.size(); }
  std::uint64_t count() const { return count_; }
  Sequence first() const { return first_; }
  Sequence last() const { return last_; }
  FileLine manifest_line(std::string unit, Sequence through) const;

 private:
  TextFile(std::string path, std::unique_ptr<File> file) : path_(std::move(path)), file_(std::move(file)) {}
  Result<void> write_buffer();

  const std::string path_;
  std::unique_ptr<File> file_;
  std::string buffer_;
  std::uint64_t written_ = 0;
  std::uint64_t write_back_from_ = 0;
  std::uint64_t count_ = 0;
  Sequence first_;
  Sequence last_;
  Xxh3Stream hash_;
  bool broken_ = false;
};

// Size and hash of a file, read through. nullopt: there is none.
struct FileFacts {
  std::uint64_t bytes = 0;
  std::uint64_t hash = 0;
};
Result<std::optional<FileFacts>> facts_of(Env& env, const std::string& path);

// What a file of a life before holds may only be in the cache, after a failed flush for ever: the same bytes are
// written once more, and flushed.
Result<void> write_again(Env& env, const std::string& path);

}  // namespace tidemill::archive
