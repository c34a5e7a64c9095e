#pragma once

#include <memory>
#include <optional>
#include <ostream>
#include <string_view>

#include "storage/base/logger.h"
#include "storage/seam/clock.h"

namespace tidemill::cli {

// The program's log, over spdlog: text for people, one JSON object a line for machines. A line that repeats within ten
// seconds is counted instead of written. Any thread. Lines are out when write() returns.
class ProgramLogger final : public Logger {
 public:
  enum class Format { text, json };
  // `out` nullptr: standard error, with colours where that is a terminal.
  ProgramLogger(Clock& clock, Format format, LogLevel level, std::ostream* out = nullptr);
  ~ProgramLogger() override;  // says what was left out

  void set_level(LogLevel level);
  bool enabled(LogLevel level) const override;
  void write(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) override;
  // Says how often lines were left out that have stopped coming. Called now and then.
  void flush_repeats();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

std::optional<LogLevel> parse_level(std::string_view name);
// "auto" becomes text on a terminal, else json.
ProgramLogger::Format log_format(std::string_view name);

}  // namespace tidemill::cli
