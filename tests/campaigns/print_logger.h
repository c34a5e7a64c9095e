#pragma once

#include <cstdio>
#include <string>

#include "storage/base/logger.h"

namespace tidemill {

// What the parts log, on standard error, for looking at one trial: campaigns ... --trial N --log yes
class PrintLogger final : public Logger {
 public:
  bool enabled(LogLevel) const override { return true; }
  void write(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) override {
    static constexpr const char* kNames[] = {"debug", "info", "warning", "error"};
    std::string line = std::string(kNames[static_cast<int>(level)]) + ": " + std::string(message);
    for (const auto& field : fields) line += " " + std::string(field.name) + "=" + field.value;
    std::fprintf(stderr, "%s\n", line.c_str());
  }
};

}  // namespace tidemill
