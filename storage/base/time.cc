#include "storage/base/time.h"

#include <array>
#include <cstdio>

namespace tidemill {
namespace {

using namespace std::chrono;

struct Parts {
  year_month_day date;
  hh_mm_ss<milliseconds> time;
};

Parts split(WallTime t) {
  const auto day = floor<days>(t);
  return {year_month_day(day), hh_mm_ss<milliseconds>(t - day)};
}

// Exactly `count` digits at `at`, as a number; advances `at`.
std::optional<int> digits(std::string_view text, std::size_t& at, std::size_t count) {
  if (at + count > text.size()) return std::nullopt;
  int value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const char c = text[at + i];
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  at += count;
  return value;
}

bool literal(std::string_view text, std::size_t& at, std::string_view any_of) {
  if (at >= text.size() || any_of.find(text[at]) == std::string_view::npos) return false;
  ++at;
  return true;
}

}  // namespace

std::string format_rfc3339(WallTime t) {
  const auto [date, time] = split(t);
  std::array<char, 48> out;
  const int n =
      std::snprintf(out.data(), out.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
                    static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                    static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                    static_cast<int>(time.seconds().count()), static_cast<int>(time.subseconds().count()));
  return {out.data(), static_cast<std::size_t>(n)};
}

std::string format_basic(WallTime t) {
  const auto [date, time] = split(t);
  std::array<char, 48> out;
  const int n = std::snprintf(out.data(), out.size(), "%04d%02u%02uT%02d%02d%02dZ", static_cast<int>(date.year()),
                              static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                              static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                              static_cast<int>(time.seconds().count()));
  return {out.data(), static_cast<std::size_t>(n)};
}

std::optional<WallTime> parse_rfc3339(std::string_view text) {
  std::size_t at = 0;
  const auto y = digits(text, at, 4);
  if (!y || !literal(text, at, "-")) return std::nullopt;
  const auto mo = digits(text, at, 2);
  if (!mo || !literal(text, at, "-")) return std::nullopt;
  const auto d = digits(text, at, 2);
  if (!d || !literal(text, at, "Tt ")) return std::nullopt;
  const auto h = digits(text, at, 2);
  if (!h || !literal(text, at, ":")) return std::nullopt;
  const auto mi = digits(text, at, 2);
  if (!mi || !literal(text, at, ":")) return std::nullopt;
  const auto s = digits(text, at, 2);
  if (!s) return std::nullopt;

  int ms = 0;
  if (literal(text, at, ".")) {
    int scale = 100;
    const std::size_t begin = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
      ms += (text[at] - '0') * scale;
      scale /= 10;
      ++at;
    }
    if (at == begin) return std::nullopt;
  }

  minutes offset{0};
  if (!literal(text, at, "Zz")) {
    if (at >= text.size() || (text[at] != '+' && text[at] != '-')) return std::nullopt;
    const int sign = text[at++] == '-' ? -1 : 1;
    const auto oh = digits(text, at, 2);
    if (!oh || !literal(text, at, ":")) return std::nullopt;
    const auto om = digits(text, at, 2);
    if (!om || *oh > 23 || *om > 59) return std::nullopt;
    offset = sign * (hours(*oh) + minutes(*om));
  }
  const year_month_day date{year(*y), month(static_cast<unsigned>(*mo)), day(static_cast<unsigned>(*d))};
  if (at != text.size() || !date.ok() || *h > 23 || *mi > 59 || *s > 60) return std::nullopt;
  return WallTime(sys_days(date)) + hours(*h) + minutes(*mi) + seconds(*s) + milliseconds(ms) - offset;
}

}  // namespace tidemill
