#include "tools/cli/output.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <clocale>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <cwchar>

#include "tools/cli/commands.h"
#include "tools/cli/printable.h"

namespace tidemill::cli {
namespace {

int first_failure = 0;  // of standard output, as ferror(): it has an error and does not say which

bool continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

// Bytes of the character at `at`, and how many columns of a terminal it takes: two for Chinese and its kin and for most
// emoji, none for what is set above another.
struct Shown {
  std::size_t bytes = 1;
  std::size_t columns = 1;
};
Shown shown_at(std::string_view text, std::size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  if (first < 0x80) return {};
  Shown s;
  while (at + s.bytes < text.size() && continuation(text[at + s.bytes])) ++s.bytes;
  std::uint32_t c = first & (0xFFu >> (s.bytes + 1));
  for (std::size_t i = 1; i < s.bytes && i < 4; ++i) c = c << 6 | (static_cast<unsigned char>(text[at + i]) & 0x3F);
  // Whatever the user's locale is: the text is UTF-8.
  static const locale_t utf8 = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (utf8 == nullptr) return s;
  const locale_t before = ::uselocale(utf8);
  const int columns = ::wcwidth(static_cast<wchar_t>(c));
  ::uselocale(before);
  if (columns >= 0) s.columns = static_cast<std::size_t>(columns);
  return s;
}

// At most `width` columns; what was cut off shows as an ellipsis.
std::string fit(const std::string& text, std::size_t width) {
  std::string out;
  std::size_t columns = 0;
  const bool cut = display_width(text) > width;
  for (std::size_t i = 0; i < text.size();) {
    const Shown s = shown_at(text, i);
    if (cut && columns + s.columns + 1 > width) break;
    columns += s.columns;
    out.append(text, i, s.bytes);
    i += s.bytes;
  }
  return cut ? out + "…" : out;
}

// Columns next to each other, two blanks between.
std::string table_line(const std::vector<std::size_t>& widths, const std::vector<Cell>& cells) {
  std::string text;
  for (std::size_t i = 0; i < widths.size(); ++i) {
    const Cell& c = i < cells.size() ? cells[i] : Cell{};
    const std::string shown = fit(printable(c.text), widths[i]);
    const std::string blanks(widths[i] - std::min(widths[i], display_width(shown)), ' ');
    text += (i == 0 ? "" : "  ") + (c.number ? blanks + shown : shown + blanks);
  }
  text.erase(text.find_last_not_of(' ') + 1);
  return text + "\n";
}

std::string rule(const std::vector<std::size_t>& widths) {
  std::vector<Cell> cells;
  for (const std::size_t w : widths) cells.push_back({std::string(w, '-'), false});
  return table_line(widths, cells);
}

void widen(std::vector<std::size_t>& widths, const std::vector<Cell>& row) {
  for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i)
    widths[i] = std::max(widths[i], display_width(printable(row[i].text)));
}

// The widest give way until a line fits.
void narrow(std::vector<std::size_t>& widths, std::size_t terminal_width) {
  constexpr std::size_t kLeast = 12;  // a cell is not cut below this
  const auto total = [&] {
    std::size_t sum = 0;
    for (const std::size_t w : widths) sum += w + 2;
    return sum - std::min<std::size_t>(sum, 2);
  };
  while (terminal_width > 0 && total() > terminal_width && !widths.empty()) {
    const auto widest = std::max_element(widths.begin(), widths.end());
    if (*widest <= kLeast) break;
    const std::size_t excess = total() - terminal_width;
    *widest = std::max(kLeast, *widest - std::min(*widest, excess));
  }
}

}  // namespace

bool print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size()) return true;
  first_failure = first_failure ? first_failure : errno;
  return false;
}

bool flush() {
  if (std::fflush(stdout) == 0) return !std::ferror(stdout);
  first_failure = first_failure ? first_failure : errno;
  return false;
}

int flush_output(int code) {
  if (flush() || first_failure == EPIPE) return code;
  std::fprintf(stderr, "tidemill: standard output cannot be written: %s\n",
               std::strerror(first_failure ? first_failure : EIO));
  return kWrongUse;
}

bool reader_is_gone() {
  pollfd p{STDOUT_FILENO, 0, 0};
  return ::poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLHUP)) != 0;
}

std::size_t display_width(std::string_view utf8) {
  std::size_t columns = 0;
  for (std::size_t i = 0; i < utf8.size();) {
    const Shown s = shown_at(utf8, i);
    columns += s.columns;
    i += s.bytes;
  }
  return columns;
}

std::size_t terminal_width() {
  winsize size{};
  if (!::isatty(STDOUT_FILENO)) return 0;
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string format_table(const std::vector<std::string>& names, const std::vector<std::vector<Cell>>& rows,
                         std::size_t terminal_width) {
  std::vector<std::size_t> widths;
  for (const std::string& name : names) widths.push_back(display_width(name));
  for (const auto& row : rows) widen(widths, row);
  narrow(widths, terminal_width);
  std::vector<Cell> head;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const bool number = !rows.empty() && std::all_of(rows.begin(), rows.end(), [&](const auto& row) {
      return i < row.size() && (row[i].number || row[i].text.empty());
    });
    head.push_back({names[i], number});
  }
  std::string out = table_line(widths, head) + rule(widths);
  for (const auto& row : rows) out += table_line(widths, row);
  return out;
}

std::string RunningTable::add(const std::vector<std::vector<Cell>>& rows, std::size_t terminal_width) {
  const bool first = widths_.empty();
  if (first)
    for (const Cell& name : names_) widths_.push_back(display_width(name.text));
  for (const auto& row : rows) widen(widths_, row);
  narrow(widths_, terminal_width);
  std::string out;
  if (first) out = table_line(widths_, names_) + rule(widths_);
  for (const auto& row : rows) out += table_line(widths_, row);
  return out;
}

}  // namespace tidemill::cli
