#include "consumers/views/expiry.h"

#include <algorithm>
#include <charconv>
#include <chrono>

#include "consumers/views/timestamp.h"
#include "consumers/views/tokenizer.h"

namespace tidemill::views {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::int64_t kSpanMaxMs = 36'525 * kDayMs;  // a century
constexpr std::int64_t kBuckets = 64;

struct Unit {
  std::string_view name;  // a trailing s may follow
  std::string_view sign;
  std::int64_t ms;
  std::uint32_t months;
};
constexpr Unit kUnits[] = {{"second", "s", 1'000, 0}, {"minute", "m", 60'000, 0},   {"hour", "h", 3'600'000, 0},
                           {"day", "d", kDayMs, 0},   {"week", "w", 7 * kDayMs, 0}, {"month", "", 0, 1},
                           {"year", "", 0, 12}};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

int digits(const char* at, int n) {
  int out = 0;
  for (int i = 0; i < n; ++i) out = out * 10 + (at[i] - '0');
  return out;
}

struct Civil {
  std::chrono::year_month_day date;
  std::int64_t ms_of_day;
};

// What strftime gives for whole years, months and hours is a time as well: '2026', '2026-11', '2026-11-21 13'.
std::string completed(std::string_view text) {
  std::string out(text);
  const auto shape = [&](std::string_view pattern) {
    return out.size() == pattern.size() && std::equal(out.begin(), out.end(), pattern.begin(), [](char c, char p) {
             return p == '0' ? is_digit(c) : p == 'T' ? c == 'T' || c == ' ' : c == p;
           });
  };
  if (shape("0000")) return out + "-01-01";
  if (shape("0000-00")) return out + "-01";
  if (shape("0000-00-00T00")) return out + ":00";
  return out;
}

std::optional<Civil> civil_of(Cell time) {
  char t[kTimestampBytes];
  std::string text;
  if (time.is_text()) {
    text = completed(time.text());
    time = Cell::text(text);
  }
  if (!timestamp(time, t)) return std::nullopt;
  using namespace std::chrono;
  return Civil{year(digits(t, 4)) / digits(t + 5, 2) / digits(t + 8, 2),
               (digits(t + 11, 2) * 3600 + digits(t + 14, 2) * 60 + digits(t + 17, 2)) * std::int64_t{1000}};
}

}  // namespace

std::optional<TimeSpan> read_time_span(std::string_view text) {
  TimeSpan out;
  out.text = text;
  std::uint32_t n = 0;
  const char* const end = text.data() + text.size();
  const auto [behind, error] = std::from_chars(text.data(), end, n);
  if (error != std::errc() || n == 0) return std::nullopt;
  std::string unit = to_lower(std::string_view(behind, static_cast<std::size_t>(end - behind)));
  unit.erase(0, std::min(unit.find_first_not_of(' '), unit.size()));
  for (const Unit& u : kUnits) {
    const bool named = unit.starts_with(u.name) && (unit.size() == u.name.size() || unit.substr(u.name.size()) == "s");
    if (!named && (u.sign.empty() || unit != u.sign)) continue;
    out.ms = u.ms * n;  // below 2^62
    out.months = u.months * std::min(n, 10'000u);
    if (out.ms > kSpanMaxMs || out.months > 1'200) return std::nullopt;
    return out;
  }
  return std::nullopt;
}

std::optional<std::int64_t> Expiry::deadline_of(Cell window_begins) const {
  const auto begins = civil_of(window_begins);
  if (!begins) return std::nullopt;
  using namespace std::chrono;
  year_month_day date = begins->date + months(size.months);
  if (!date.ok()) date = date.year() / date.month() / last;
  const std::int64_t day = sys_days(date).time_since_epoch().count();
  return day * kDayMs + begins->ms_of_day + size.ms + after.ms;
}

std::int64_t Expiry::bucket(std::int64_t deadline_ms) const {
  if (window) return deadline_ms;  // its rows go together as it is
  const std::int64_t width = std::max<std::int64_t>(1'000, after.ms / kBuckets);
  return (deadline_ms + width - 1) / width * width;
}

}  // namespace tidemill::views
