#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/csv/encoding.h"
#include "engine/csv/objects.h"

namespace tidemill::cli {

// SHA-256 of what was added so far; may be asked on the way.
class RunningHash {
 public:
  RunningHash();
  ~RunningHash();
  void add(std::string_view bytes);
  std::string hex() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The bytes of a file or of standard input, a window at a time.
class LoadInput {
 public:
  // "-" is standard input. nullptr and a sentence: there is no such file, or it is none.
  // Where `stop` becomes true, reading fails.
  static std::unique_ptr<LoadInput> open(const std::string& path, const std::atomic<bool>& stop, std::string& error);
  ~LoadInput();

  bool is_file() const { return is_file_; }
  bool is(const std::string& path) const;          // that is another name of the same file
  bool row_begins_at(std::uint64_t offset) const;  // of a file: a line ends right before it
  std::uint64_t size() const { return size_; }     // of a file, when it was opened

  // What has been read and not consumed; `last`: nothing comes behind it.
  std::string_view held() const { return std::string_view(buffer_).substr(begin_); }
  bool last() const { return last_; }
  bool read_more(std::string& error);
  void consume(std::size_t bytes);
  std::uint64_t offset() const { return offset_; }  // of held() in the file
  bool seek(std::uint64_t offset, std::string& error);
  // All that was consumed, hashed. Only of an input that cannot be read twice: a file's is known before.
  std::string consumed_hash() const { return hash_.hex(); }

 private:
  LoadInput(int fd, bool is_file, std::uint64_t size, const std::atomic<bool>& stop)
      : stop_(stop), fd_(fd), is_file_(is_file), size_(size) {}

  const std::atomic<bool>& stop_;
  int fd_;
  bool is_file_;
  std::uint64_t size_;
  std::string buffer_;
  std::size_t begin_ = 0;
  std::uint64_t offset_ = 0;
  bool last_ = false;
  RunningHash hash_;
};

// What a first pass over a file finds out.
struct Examined {
  std::uint64_t size = 0;
  std::string hash;                          // SHA-256, hexadecimal
  std::optional<csv::Encoding> encoding;     // nullopt: neither UTF-8 nor of one byte a character
  std::unique_ptr<csv::TypeDetector> types;  // filled if asked for
};
bool examine(LoadInput& input, const csv::Dialect& dialect, bool find_types, Examined& found, std::string& error);

}  // namespace tidemill::cli
