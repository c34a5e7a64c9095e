#include "tools/cli/log/program_logger.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <mutex>

#include "engine/json/writer.h"
#include "tools/cli/log/repeats.h"

namespace tidemill::cli {
namespace {

constexpr std::string_view kTextPattern = "%Y-%m-%dT%H:%M:%S.%eZ %^%-7l%$ %v";
constexpr std::string_view kJsonPattern = R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})";

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::error:
      break;
  }
  return spdlog::level::err;
}

// A value as it stands where nobody can misread it, else in quotes.
void append_text_value(std::string& out, std::string_view value) {
  bool plain = !value.empty();
  for (const unsigned char c : value)
    if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7F) plain = false;
  if (plain) {
    out += value;
  } else {
    append_json_string(out, value);
  }
}

}  // namespace

struct ProgramLogger::Impl {
  Clock& clock;
  Format format;
  std::atomic<LogLevel> level;
  spdlog::logger sink;
  std::mutex mutex;
  Repeats repeats;
  Floods floods;

  Impl(Clock& c, Format f, LogLevel l, spdlog::sink_ptr s) : clock(c), format(f), level(l), sink("", std::move(s)) {}

  std::string body(std::string_view message, std::initializer_list<LogField> fields) const {
    std::string out;
    if (format == Format::json) {
      out = "\"message\":";
      append_json_string(out, message);
      for (const LogField& f : fields) {
        out += ',';
        append_json_string(out, f.name);
        out += ':';
        append_json_string(out, f.value);
      }
      return out;
    }
    // One line, whatever the message holds.
    for (const char c : message) out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    for (const LogField& f : fields) {
      out += out.empty() ? "" : " ";
      out += f.name;
      out += '=';
      append_text_value(out, f.value);
    }
    return out;
  }

  void say_repeats(const std::vector<Repeats::LeftOut>& lines) { say(lines, "repeated"); }
  void say_floods(std::vector<Repeats::LeftOut> messages) {
    for (auto& [line, count] : messages) line = line.front() + body(line.substr(1), {});
    say(messages, "more_like_this");
  }
  void say(const std::vector<Repeats::LeftOut>& lines, const char* name) {
    for (const auto& [line, count] : lines) {
      const char digit = line.front();  // its level, see write()
      sink.log(static_cast<spdlog::level::level_enum>(digit - '0'),
               spdlog::string_view_t(counted(line.substr(1), name, count)));
    }
  }
  std::string counted(const std::string& line, const char* name, std::uint64_t count) const {
    return line + (format == Format::json ? std::string(",\"") + name + "\":" : std::string(" ") + name + "=") +
           std::to_string(count);
  }
};

ProgramLogger::ProgramLogger(Clock& clock, Format format, LogLevel level, std::ostream* out) {
  spdlog::sink_ptr sink;
  if (out) {
    sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(*out, true);
  } else {
    const char* no_color = std::getenv("NO_COLOR");  // no-color.org: set and not empty
    sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>(no_color && *no_color ? spdlog::color_mode::never
                                                                                       : spdlog::color_mode::automatic);
  }
  impl_ = std::make_unique<Impl>(clock, format, level, std::move(sink));
  impl_->sink.set_level(spdlog::level::debug);
  impl_->sink.flush_on(spdlog::level::debug);
  impl_->sink.set_pattern(std::string(format == Format::json ? kJsonPattern : kTextPattern),
                          spdlog::pattern_time_type::utc);
}

ProgramLogger::~ProgramLogger() {
  const std::lock_guard lock(impl_->mutex);
  impl_->say_repeats(impl_->repeats.flush(MonotonicTime::max()));
  impl_->say_floods(impl_->floods.flush(MonotonicTime::max()));
}

void ProgramLogger::set_level(LogLevel level) {
  impl_->level = level;
}

bool ProgramLogger::enabled(LogLevel level) const {
  return level >= impl_->level.load(std::memory_order_relaxed);
}

void ProgramLogger::write(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  if (!enabled(level)) return;
  const spdlog::level::level_enum l = level_of(level);
  const std::string digit(1, static_cast<char>('0' + l));
  const std::string out = impl_->body(message, fields);
  const std::lock_guard lock(impl_->mutex);
  const MonotonicTime now = impl_->clock.monotonic();
  const Repeats::Decision d = impl_->repeats.see(digit + out, now);
  if (!d.write) return;
  impl_->say_floods(impl_->floods.flush(now));
  if (!impl_->floods.see(digit + std::string(message), now)) return;
  impl_->sink.log(l, spdlog::string_view_t(d.left_out == 0 ? out : impl_->counted(out, "repeated", d.left_out)));
}

void ProgramLogger::flush_repeats() {
  const std::lock_guard lock(impl_->mutex);
  const MonotonicTime now = impl_->clock.monotonic();
  impl_->say_repeats(impl_->repeats.flush(now - std::chrono::seconds(10)));
  impl_->say_floods(impl_->floods.flush(now));
}

std::optional<LogLevel> parse_level(std::string_view name) {
  if (name == "debug") return LogLevel::debug;
  if (name == "info") return LogLevel::info;
  if (name == "warning") return LogLevel::warning;
  if (name == "error") return LogLevel::error;
  return std::nullopt;
}

ProgramLogger::Format log_format(std::string_view name) {
  if (name == "text" || (name == "auto" && ::isatty(STDERR_FILENO))) return ProgramLogger::Format::text;
  return ProgramLogger::Format::json;
}

}  // namespace tidemill::cli
