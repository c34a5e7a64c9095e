#include "consumers/views/timestamp.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace tidemill::views {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string_view trimmed(std::string_view s) {
  auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
  while (!s.empty() && blank(s.front())) s.remove_prefix(1);
  while (!s.empty() && blank(s.back())) s.remove_suffix(1);
  return s;
}

struct Time {
  int year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0;
};

// Days since 1970-01-01 in the proleptic Gregorian calendar, and back (Howard Hinnant's algorithms).
std::int64_t days_from_civil(std::int64_t y, int m, int d) {
  y -= m <= 2;
  std::int64_t era = (y >= 0 ? y : y - 399) / 400;
  auto yoe = static_cast<int>(y - era * 400);
  int doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  int doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
  return era * 146097 + doe - 719468;
}

Time from_seconds(std::int64_t s) {
  std::int64_t days = s / 86400;
  auto rest = static_cast<int>(s % 86400);
  if (rest < 0) {
    rest += 86400;
    --days;
  }
  days += 719468;
  std::int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  auto doe = static_cast<int>(days - era * 146097);
  int yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  int doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  int mp = (5 * doy + 2) / 153;
  Time t;
  t.day = doy - (153 * mp + 2) / 5 + 1;
  t.month = mp < 10 ? mp + 3 : mp - 9;
  t.year = static_cast<int>(era * 400 + yoe + (t.month <= 2));
  t.hour = rest / 3600;
  t.minute = rest / 60 % 60;
  t.second = rest % 60;
  return t;
}

bool valid(const Time& t) {
  static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (t.year < 0 || t.year > 9999 || t.month < 1 || t.month > 12 || t.day < 1) return false;
  bool leap = (t.year % 4 == 0 && t.year % 100 != 0) || t.year % 400 == 0;
  int days = kDays[t.month - 1] + (t.month == 2 && leap ? 1 : 0);
  return t.day <= days && t.hour <= 23 && t.minute <= 59 && t.second <= 59;
}

bool write(const Time& t, char* out) {
  if (!valid(t)) return false;
  auto two = [](char* at, int v) {
    at[0] = static_cast<char>('0' + v / 10);
    at[1] = static_cast<char>('0' + v % 10);
  };
  two(out, t.year / 100);
  two(out + 2, t.year % 100);
  out[4] = '-';
  two(out + 5, t.month);
  out[7] = '-';
  two(out + 8, t.day);
  out[10] = 'T';
  two(out + 11, t.hour);
  out[13] = ':';
  two(out + 14, t.minute);
  out[16] = ':';
  two(out + 17, t.second);
  return true;
}

// Reads from the front of a text; every step says whether it fitted.
class Scanner {
 public:
  explicit Scanner(std::string_view s) : s_(s) {}
  bool done() const { return s_.empty(); }
  char peek() const { return s_.empty() ? '\0' : s_.front(); }
  bool take(char c) {
    if (peek() != c) return false;
    s_.remove_prefix(1);
    return true;
  }
  bool number(int digits_min, int digits_max, int& out) {
    int n = 0, value = 0;
    while (n < digits_max && is_digit(peek())) {
      value = value * 10 + (s_.front() - '0');
      s_.remove_prefix(1);
      ++n;
    }
    out = value;
    return n >= digits_min;
  }
  bool word(std::string_view lower) {
    if (s_.size() < lower.size()) return false;
    for (std::size_t i = 0; i < lower.size(); ++i) {
      if ((s_[i] | 0x20) != lower[i]) return false;
    }
    s_.remove_prefix(lower.size());
    return true;
  }
  void fraction() {
    if (peek() != '.' && peek() != ',') return;
    s_.remove_prefix(1);
    while (is_digit(peek())) s_.remove_prefix(1);
  }

 private:
  std::string_view s_;
};

// Z, +hh, +hhmm, +hh:mm at the end; minutes east of UTC. false: something else is there.
bool read_zone(Scanner& in, int& minutes) {
  minutes = 0;
  if (in.done()) return true;
  if (in.take('Z') || in.take('z')) return in.done();
  bool west = in.peek() == '-';
  if (!west && in.peek() != '+') return false;
  in.take(in.peek());
  int hours = 0, rest = 0;
  if (!in.number(2, 2, hours)) return false;
  if (!in.done()) {
    in.take(':');
    if (!in.number(2, 2, rest)) return false;
  }
  if (!in.done() || hours > 23 || rest > 59) return false;
  minutes = (hours * 60 + rest) * (west ? -1 : 1);
  return true;
}

bool finish(Time t, int offset_minutes, char* out) {
  if (offset_minutes == 0) return write(t, out);
  if (!valid(t)) return false;
  std::int64_t seconds = days_from_civil(t.year, t.month, t.day) * 86400 + t.hour * 3600 + t.minute * 60 + t.second;
  return write(from_seconds(seconds - offset_minutes * 60), out);
}

bool from_iso(std::string_view text, char* out) {
  Scanner in(text);
  Time t;
  int offset = 0;
  if (!in.number(4, 4, t.year) || !in.take('-') || !in.number(2, 2, t.month) || !in.take('-') ||
      !in.number(2, 2, t.day)) {
    return false;
  }
  if (in.done()) return write(t, out);
  if (!in.take('T') && !in.take('t') && !in.take(' ')) return false;
  if (!in.number(2, 2, t.hour) || !in.take(':') || !in.number(2, 2, t.minute)) return false;
  if (in.take(':')) {
    if (!in.number(2, 2, t.second)) return false;
    in.fraction();
  }
  in.take(' ');  // "2011-12-09 12:50:00 +01:00"
  return read_zone(in, offset) && finish(t, offset, out);
}

bool from_basic(std::string_view text, char* out) {
  Scanner in(text);
  Time t;
  int offset = 0;
  if (!in.number(4, 4, t.year) || !in.number(2, 2, t.month) || !in.number(2, 2, t.day)) return false;
  if (in.done()) return write(t, out);
  if (!in.take('T') || !in.number(2, 2, t.hour) || !in.number(2, 2, t.minute)) return false;
  if (is_digit(in.peek()) && !in.number(2, 2, t.second)) return false;
  in.fraction();
  return read_zone(in, offset) && finish(t, offset, out);
}

bool from_american(std::string_view text, char* out) {
  Scanner in(text);
  Time t;
  if (!in.number(1, 2, t.month) || !in.take('/') || !in.number(1, 2, t.day) || !in.take('/') ||
      !in.number(4, 4, t.year)) {
    return false;
  }
  if (in.done()) return write(t, out);
  if (!in.take(' ')) return false;
  while (in.take(' ')) {
  }
  if (!in.number(1, 2, t.hour) || !in.take(':') || !in.number(2, 2, t.minute)) return false;
  if (in.take(':')) {
    if (!in.number(2, 2, t.second)) return false;
    in.fraction();
  }
  while (in.take(' ')) {
  }
  if (!in.done()) {
    bool afternoon = in.word("pm");
    if (!afternoon && !in.word("am")) return false;
    if (!in.done() || t.hour < 1 || t.hour > 12) return false;
    t.hour = t.hour % 12 + (afternoon ? 12 : 0);
  }
  return write(t, out);
}

bool from_epoch(double value, char* out) {
  if (!(std::fabs(value) < 1e15)) return false;
  if (std::fabs(value) >= 1e11) value /= 1000;
  return write(from_seconds(static_cast<std::int64_t>(std::floor(value))), out);
}

}  // namespace

std::optional<std::string_view> ident(Cell x, std::string& buffer) {
  x = canonical(x);
  switch (x.type()) {
    case CellType::null:
      return std::nullopt;
    case CellType::integer: {
      char digits[24];
      auto end = std::to_chars(digits, digits + sizeof digits, x.integer()).ptr;
      buffer.assign(digits, end);
      return buffer;
    }
    case CellType::real: {
      char digits[40];
      int n = std::snprintf(digits, sizeof digits, "%.15g", x.real());
      buffer.assign(digits, static_cast<std::size_t>(n));
      return buffer;
    }
    case CellType::text:
    case CellType::json:
      break;
  }
  std::string_view text = trimmed(x.text());
  if (text.empty()) return std::nullopt;
  // "17850.0" is how a spreadsheet or a data frame with a gap in the column writes 17850.
  if (text.back() == '0') {
    std::size_t dot = text.find_last_not_of('0');
    if (dot != std::string_view::npos && text[dot] == '.' && dot > 0) {
      std::string_view whole = text.substr(0, dot);
      std::string_view digits = whole.front() == '-' ? whole.substr(1) : whole;
      bool all = !digits.empty();
      for (char c : digits) all = all && is_digit(c);
      if (all) return whole;
    }
  }
  return text;
}

bool timestamp(Cell x, char* out) {
  if (x.type() == CellType::integer) return from_epoch(static_cast<double>(x.integer()), out);
  if (x.type() == CellType::real) return from_epoch(x.real(), out);
  if (x.is_null()) return false;
  std::string_view text = trimmed(x.text());
  if (text.size() < 8 || text.size() > 40) return false;
  if (text[1] == '/' || text[2] == '/') return from_american(text, out);
  if (text[4] == '-') return from_iso(text, out);
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  bool plain = error == std::errc() && end == text.data() + text.size();
  bool digits = text.find_first_not_of("-.0123456789") == std::string_view::npos &&
                text.find_first_of("0123456789") != std::string_view::npos;
  if (plain && digits && text.size() >= 9 && text.size() <= 17) return from_epoch(value, out);
  return from_basic(text, out);
}

std::optional<Cell> number(Cell x) {
  if (x.is_null() || x.is_number()) return x;
  std::string_view text = trimmed(x.text());
  // JSON's grammar, except that leading zeros pass: "007" is seven.
  std::size_t i = 0;
  auto digits = [&] {
    std::size_t start = i;
    while (i < text.size() && is_digit(text[i])) ++i;
    return i > start;
  };
  bool whole = true;
  if (i < text.size() && text[i] == '-') ++i;
  if (!digits()) return std::nullopt;
  if (i < text.size() && text[i] == '.') {
    whole = false;
    ++i;
    if (!digits()) return std::nullopt;
  }
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    whole = false;
    ++i;
    if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
    if (!digits()) return std::nullopt;
  }
  if (i != text.size()) return std::nullopt;
  const char* last = text.data() + text.size();
  if (whole) {
    std::int64_t v = 0;
    if (std::from_chars(text.data(), last, v).ec == std::errc()) return Cell::integer(v);
  }
  double v = 0;
  if (std::from_chars(text.data(), last, v).ec != std::errc() || !std::isfinite(v)) return std::nullopt;
  return Cell::real(v);
}

}  // namespace tidemill::views
