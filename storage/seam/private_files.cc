#include "storage/seam/private_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "storage/base/errors.h"

namespace tidemill {
namespace {

class SystemPrivateFiles final : public PrivateFiles {
 public:
  Result<void> create(const std::string& path) override {
    int fd = -1;
    do {
      fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) return errno_error(errno);
    ::close(fd);
    return {};
  }
  Result<bool> open_to_others(const std::string& path) override {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return errno_error(errno);
    return (info.st_mode & (S_IRWXG | S_IRWXO)) != 0;
  }
};

}  // namespace

PrivateFiles& system_private_files() {
  static SystemPrivateFiles files;
  return files;
}

}  // namespace tidemill
