#include "consumers/archive/text_file.h"

#include <cerrno>
#include <cstdio>

#include "engine/json/writer.h"
#include "storage/base/check.h"

namespace tidemill::archive {
namespace {

constexpr std::size_t kBufferBytes = 64 << 10;
constexpr std::uint64_t kWriteBackBytes = 1 << 20;  // dirty pages a file has at most, about

bool is_errno(const ErrorCode& error, int value) {
  return error == ErrorCode(value, boost::system::generic_category());
}

}  // namespace

void encode_line(const Record& record, std::string& line) {
  line.clear();
  if (record.content == ContentType::json) {
    line = record.data;
  } else {
    append_bytes_json(line, record.data);
  }
  line += '\n';
}

std::string text_path(std::string_view stream, std::string_view unit, WallTime arrival, Sequence first) {
  const std::string t = format_rfc3339(arrival);  // 2026-01-02T03:04:05.000Z
  char sequence[24];
  std::snprintf(sequence, sizeof sequence, "%020llu", static_cast<unsigned long long>(first.value()));
  return t.substr(0, 4) + "/" + t.substr(5, 2) + "/" + t.substr(8, 2) + "/" + t.substr(11, 2) + "/" +
         std::string(stream) + "-" + std::string(unit) + "-" + format_basic(arrival) + "-" + sequence + ".txt";
}

std::string part_path(const std::string& text_path) {
  return text_path.substr(0, text_path.rfind('.')) + ".part";
}

std::string directory_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

Result<std::unique_ptr<TextFile>> TextFile::create(Env& env, const std::string& root, const std::string& path) {
  const std::string part = root + "/" + part_path(path);
  if (const auto removed = env.files.remove(part); !removed && !is_errno(removed.error(), ENOENT))
    return removed.error();
  ASSIGN_OR_RETURN(auto file, env.files.open(part, OpenMode::create));
  return std::unique_ptr<TextFile>(new TextFile(path, std::move(file)));
}

Result<void> TextFile::add(std::string_view line, Sequence sequence) {
  CHECK(sequence > last_);
  if (!buffer_.empty() && buffer_.size() + line.size() > kBufferBytes) RETURN_IF_ERROR(write_buffer());
  buffer_ += line;
  hash_.add(line);
  if (count_++ == 0) first_ = sequence;
  last_ = sequence;
  return {};
}

Result<void> TextFile::write_buffer() {
  // After an error any part of it may be there; the next attempt writes the same bytes in the same place.
  RETURN_IF_ERROR(file_->write_at(ByteOffset(written_), std::as_bytes(std::span(buffer_))));
  written_ += buffer_.size();
  buffer_.clear();
  if (buffer_.capacity() > 2 * kBufferBytes) buffer_.shrink_to_fit();  // one huge line
  if (written_ - write_back_from_ >= kWriteBackBytes) {
    file_->start_writeback(ByteOffset(write_back_from_), written_ - write_back_from_);
    write_back_from_ = written_;
  }
  return {};
}

Result<void> TextFile::sync() {
  CHECK(!broken_);
  if (!buffer_.empty()) RETURN_IF_ERROR(write_buffer());
  if (const auto synced = file_->sync_data(); !synced) {
    broken_ = true;
    return synced.error();
  }
  file_->drop_cache(ByteOffset(0), written_);
  return {};
}

FileLine TextFile::manifest_line(std::string unit, Sequence through) const {
  return {std::move(unit), first_, last_, through, count_, bytes(), hash_.value(), path_};
}

Result<std::optional<FileFacts>> facts_of(Env& env, const std::string& path) {
  auto file = env.files.open(path, OpenMode::read);
  if (!file) {
    if (is_errno(file.error(), ENOENT)) return std::optional<FileFacts>();
    return file.error();
  }
  FileFacts facts;
  Xxh3Stream hash;
  std::string buffer(kBufferBytes, '\0');
  for (;;) {
    ASSIGN_OR_RETURN(const std::size_t got,
                     (*file)->read_at(ByteOffset(facts.bytes), std::as_writable_bytes(std::span(buffer))));
    if (got == 0) break;
    hash.add({buffer.data(), got});
    facts.bytes += got;
  }
  facts.hash = hash.value();
  return std::optional(facts);
}

Result<void> write_again(Env& env, const std::string& path) {
  ASSIGN_OR_RETURN(auto file, env.files.open(path, OpenMode::open_or_create));
  std::string buffer(kBufferBytes, '\0');
  for (std::uint64_t at = 0;;) {
    ASSIGN_OR_RETURN(const std::size_t got, file->read_at(ByteOffset(at), std::as_writable_bytes(std::span(buffer))));
    if (got == 0) return file->sync_data();
    RETURN_IF_ERROR(file->write_at(ByteOffset(at), std::as_bytes(std::span(buffer).first(got))));
    at += got;
  }
}

}  // namespace tidemill::archive
