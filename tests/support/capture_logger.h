#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "storage/base/logger.h"

namespace tidemill {

// Keeps what was logged, one string a line: "error: message name=value name=value". Any thread.
class CaptureLogger final : public Logger {
 public:
  bool enabled(LogLevel) const override { return true; }
  void write(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) override {
    static constexpr const char* kNames[] = {"debug", "info", "warning", "error"};
    std::string line = std::string(kNames[static_cast<int>(level)]) + ": " + std::string(message);
    for (const auto& field : fields) line += " " + std::string(field.name) + "=" + field.value;
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::move(line));
  }
  std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }
  // How many lines hold this text.
  std::size_t count(std::string_view text) const {
    std::size_t n = 0;
    for (const auto& line : lines()) n += line.find(text) != std::string::npos ? 1 : 0;
    return n;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

}  // namespace tidemill
