#pragma once

#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "engine/checksum.h"
#include "engine/consumer.h"
#include "storage/seam/file_system.h"

namespace tidemill {

// A consumer as simple as one can be: its effects and its checkpoint are one file, a line for each batch.
// One line: "<next> <sequence>,<sequence>,... <checksum>". A line that is not whole does not count and is overwritten.
class FileConsumer final : public Consumer {
 public:
  FileConsumer(FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}

  Result<Position> open() override {
    const std::string directory = path_.substr(0, path_.rfind('/'));
    RETURN_IF_ERROR(create_directories(files_, directory));
    std::string text;
    if (exists(files_, path_)) {
      ASSIGN_OR_RETURN(text, read_file(files_, path_, 4 << 20));
    }
    const auto [sequences, next, end] = parse(text);
    // What is read may only be in the cache, after a failed flush for ever: it goes on in a file of its own.
    ASSIGN_OR_RETURN(file_, files_.open(path_ + ".new", OpenMode::open_or_create));
    RETURN_IF_ERROR(file_->truncate(0));
    RETURN_IF_ERROR(file_->write_at(ByteOffset(0), std::as_bytes(std::span(text).first(end))));
    RETURN_IF_ERROR(file_->sync_data());
    RETURN_IF_ERROR(files_.rename(path_ + ".new", path_));
    RETURN_IF_ERROR(files_.sync_directory(directory));
    end_ = end;
    applied_ = Position::through(Sequence(next - 1));
    return applied_;
  }
  Result<void> process(const RecordBatch& batch) override {
    std::string text = std::to_string(batch.next.value()) + " ";
    for (const Record& r : batch.records) text += std::to_string(r.sequence.value()) + ",";
    text += " " + std::to_string(small_checksum(text)) + "\n";
    RETURN_IF_ERROR(file_->write_at(ByteOffset(end_), std::as_bytes(std::span(text))));
    RETURN_IF_ERROR(file_->sync_data());
    end_ += text.size();
    applied_ = Position::through(Sequence(batch.next.value() - 1));
    return {};
  }
  Position applied() const override { return applied_; }
  Position persisted() const override { return applied_; }
  Result<void> close() override { return {}; }

  struct Parsed {
    std::vector<std::uint64_t> sequences;
    std::uint64_t next = 1;
    std::size_t end = 0;
  };
  static Parsed parse(const std::string& text) {
    Parsed parsed;
    for (;;) {
      const std::size_t end = text.find('\n', parsed.end);
      if (end == std::string::npos) return parsed;
      const std::string line = text.substr(parsed.end, end - parsed.end);
      const std::size_t first = line.find(' ');
      const std::size_t last = line.rfind(' ');
      if (first == std::string::npos || first == last) return parsed;
      if (line.substr(last + 1) != std::to_string(small_checksum(line.substr(0, last)))) return parsed;
      const std::string list = line.substr(first + 1, last - first - 1);
      std::istringstream items(list);
      for (std::string item; std::getline(items, item, ',');) parsed.sequences.push_back(std::stoull(item));
      parsed.next = std::stoull(line);
      parsed.end = end + 1;
    }
  }

 private:
  FileSystem& files_;
  const std::string path_;
  std::unique_ptr<File> file_;
  std::size_t end_ = 0;
  Position applied_;
};

struct FileShards final : ShardedConsumer {
  explicit FileShards(FileSystem& f) : files(f) {}
  Result<void> open() override { return {}; }
  Result<std::unique_ptr<Consumer>> open_shard(const ShardDefinition& shard) override {
    return std::unique_ptr<Consumer>(new FileConsumer(files, "/effects/shard-" + std::to_string(shard.id.value())));
  }
  Result<void> close() override { return {}; }
  FileSystem& files;
};

}  // namespace tidemill
