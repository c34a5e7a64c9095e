#include "tools/cli/load/input.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace tidemill::cli {
namespace {

constexpr std::size_t kPieceBytes = 1 << 20;

}  // namespace

struct RunningHash::Impl {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
};

RunningHash::RunningHash() : impl_(std::make_unique<Impl>()) {
  EVP_DigestInit_ex(impl_->context, EVP_sha256(), nullptr);
}
RunningHash::~RunningHash() {
  EVP_MD_CTX_free(impl_->context);
}

void RunningHash::add(std::string_view bytes) {
  EVP_DigestUpdate(impl_->context, bytes.data(), bytes.size());
}

std::string RunningHash::hex() const {
  EVP_MD_CTX* copy = EVP_MD_CTX_new();
  EVP_MD_CTX_copy_ex(copy, impl_->context);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_DigestFinal_ex(copy, digest, &size);
  EVP_MD_CTX_free(copy);
  constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (unsigned int i = 0; i < size; ++i) {
    out += kHex[digest[i] >> 4];
    out += kHex[digest[i] & 15];
  }
  return out;
}

std::unique_ptr<LoadInput> LoadInput::open(const std::string& path, const std::atomic<bool>& stop, std::string& error) {
  if (path == "-") return std::unique_ptr<LoadInput>(new LoadInput(STDIN_FILENO, false, 0, stop));
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info {};
  if (fd < 0 || ::fstat(fd, &info) != 0) {
    error = path + ": " + std::strerror(errno);
    if (fd >= 0) ::close(fd);
    return nullptr;
  }
  if (S_ISDIR(info.st_mode)) {
    error = path + ": is a directory; name a CSV file";
    ::close(fd);
    return nullptr;
  }
  // A named pipe or a shell's <(...) cannot be read twice either.
  return std::unique_ptr<LoadInput>(
      new LoadInput(fd, S_ISREG(info.st_mode), static_cast<std::uint64_t>(info.st_size), stop));
}

bool LoadInput::is(const std::string& path) const {
  struct stat mine {
  }, other{};
  return ::fstat(fd_, &mine) == 0 && ::stat(path.c_str(), &other) == 0 && S_ISREG(mine.st_mode) &&
         mine.st_dev == other.st_dev && mine.st_ino == other.st_ino;
}

bool LoadInput::row_begins_at(std::uint64_t offset) const {
  char before = '\n';
  if (offset > 0 && ::pread(fd_, &before, 1, static_cast<off_t>(offset - 1)) != 1) return false;
  return before == '\n' || before == '\r';
}

LoadInput::~LoadInput() {
  if (fd_ != STDIN_FILENO) ::close(fd_);
}

bool LoadInput::read_more(std::string& error) {
  buffer_.erase(0, begin_);
  begin_ = 0;
  const std::size_t held = buffer_.size();
  buffer_.resize(held + kPieceBytes);
  ssize_t n = 0;
  do {
    // In slices, for a terminal or a pipe may be silent for long; a file is always ready.
    pollfd ready{fd_, POLLIN, 0};
    while (!stop_ && !is_file_ && ::poll(&ready, 1, 200) <= 0) {
    }
    if (stop_) {
      buffer_.resize(held);
      error = "interrupted";
      return false;
    }
    n = ::read(fd_, buffer_.data() + held, kPieceBytes);
  } while (n < 0 && errno == EINTR);
  if (n < 0) error = std::string("cannot read on: ") + std::strerror(errno);
  buffer_.resize(held + static_cast<std::size_t>(n > 0 ? n : 0));
  last_ = last_ || n == 0;
  return n >= 0;
}

void LoadInput::consume(std::size_t bytes) {
  if (!is_file_) hash_.add(held().substr(0, bytes));
  begin_ += bytes;
  offset_ += bytes;
}

bool LoadInput::seek(std::uint64_t offset, std::string& error) {
  buffer_.clear();
  begin_ = 0;
  last_ = false;
  offset_ = offset;
  if (::lseek(fd_, static_cast<off_t>(offset), SEEK_SET) >= 0) return true;
  error = std::string("cannot be read twice: ") + std::strerror(errno);
  return false;
}

bool examine(LoadInput& input, const csv::Dialect& dialect, bool find_types, Examined& found, std::string& error) {
  RunningHash hash;
  csv::EncodingDetector encoding;
  csv::Reader reader(dialect);
  csv::Row row;
  bool header = true;
  if (find_types) found.types = std::make_unique<csv::TypeDetector>();
  while (!input.last()) {
    const std::size_t before = input.held().size();
    if (!input.read_more(error)) return false;
    const std::string_view fresh = input.held().substr(before);
    found.size += fresh.size();
    hash.add(fresh);
    encoding.add(fresh);
    std::string_view rest = input.held();
    while (find_types) {
      const csv::Outcome outcome = reader.next(rest, input.last(), row);
      if (outcome == csv::Outcome::need_more || outcome == csv::Outcome::end) break;
      if (outcome != csv::Outcome::row) continue;
      if (!header) found.types->add(row);
      header = false;
    }
    input.consume(find_types ? input.held().size() - rest.size() : input.held().size());
  }
  found.hash = hash.hex();
  found.encoding = encoding.result();
  return input.seek(0, error);
}

}  // namespace tidemill::cli
