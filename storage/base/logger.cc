#include "storage/base/logger.h"

namespace tidemill {
namespace {

class NullLogger final : public Logger {
 public:
  bool enabled(LogLevel) const override { return false; }
  void write(LogLevel, std::string_view, std::initializer_list<LogField>) override {}
};

}  // namespace

Logger& null_logger() {
  static NullLogger logger;
  return logger;
}

}  // namespace tidemill
