#include "storage/base/errors.h"

#include <cerrno>
#include <string>

namespace tidemill {
namespace {

class StorageCategory final : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "tidemill.storage"; }
  std::string message(int code) const override {
    switch (static_cast<StorageErrc>(code)) {
      case StorageErrc::directory_in_use:
        return "another process holds the data directory";
      case StorageErrc::layout_too_new:
        return "written by a later version of Tidemill";
      case StorageErrc::damaged:
        return "stored bytes are damaged";
      case StorageErrc::flush_failed:
        return "a flush failed; the outcome is unknown";
      case StorageErrc::not_accepting:
        return "the stream takes no records until the next start";
      case StorageErrc::closed:
        return "the log is closed";
      case StorageErrc::throttled:
        return "too much in flight";
      case StorageErrc::request_too_large:
        return "the request does not fit a commit";
      case StorageErrc::key_reused:
        return "the idempotency key was used with another body";
      case StorageErrc::keys_unread:
        return "the idempotency keys of before cannot be read back";
      case StorageErrc::before_start:
        return "the sequence lies before the start of the log";
      case StorageErrc::beyond_end:
        return "the sequence lies beyond the end of the log";
      case StorageErrc::invalid_argument:
        return "invalid argument";
      case StorageErrc::too_many_files:
        return "no file descriptor is left: allow the process more (LimitNOFILE= of its service, ulimit -n)";
    }
    return "unknown storage error";
  }
};

}  // namespace

ErrorCode make_error_code(StorageErrc e) {
  static const StorageCategory category;
  return {static_cast<int>(e), category};
}

ErrorCode errno_error(int value) {
  if (value == EMFILE || value == ENFILE) return make_error_code(StorageErrc::too_many_files);
  return {value, boost::system::generic_category()};
}

}  // namespace tidemill
