#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace tidemill {

enum class LogLevel { debug, info, warning, error };

// One named value of a log line. Numbers are handed over as text; the sink decides how they look.
struct LogField {
  std::string_view name;
  std::string value;
};

// Where the program says what happens. An interface, so that no header of ours needs a logging library; tools/cli
// implements it over spdlog. Any thread. Never with a secret or a record's data in it.
// Not for single records on the hot path: a line costs about 0.4 us.
class Logger {
 public:
  virtual ~Logger() = default;
  virtual bool enabled(LogLevel level) const = 0;
  virtual void write(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) = 0;

  void debug(std::string_view m, std::initializer_list<LogField> f = {}) { write(LogLevel::debug, m, f); }
  void info(std::string_view m, std::initializer_list<LogField> f = {}) { write(LogLevel::info, m, f); }
  void warning(std::string_view m, std::initializer_list<LogField> f = {}) { write(LogLevel::warning, m, f); }
  void error(std::string_view m, std::initializer_list<LogField> f = {}) { write(LogLevel::error, m, f); }
};

// Says nothing. For tests and tools that report by themselves.
Logger& null_logger();

}  // namespace tidemill
