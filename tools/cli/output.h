#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidemill::cli {

// A cell of a printed table: numbers stand at the right.
struct Cell {
  std::string text;
  bool number = false;
};

// Writes to standard output. False: it cannot be written, perhaps because the reader went away; a command that has more
// to say stops then, and flush_output() says what is to be said.
bool print(std::string_view text);
bool flush();
// Flushes standard output. `code`, unless it could not be written; a reader that went away (`| head`) is no failure.
int flush_output(int code);
// Nobody reads standard output any more.
bool reader_is_gone();

// Columns aligned, a line below the names. `terminal_width` 0: nothing is cut; else
// long cells are cut so that a line fits where that is possible.
std::string format_table(const std::vector<std::string>& names, const std::vector<std::vector<Cell>>& rows,
                         std::size_t terminal_width);
// The same for rows that come one after the other: a column is as wide as its widest cell so far.
class RunningTable {
 public:
  explicit RunningTable(std::vector<Cell> names) : names_(std::move(names)) {}
  // The lines of these rows; before the first ones, the names and a line below them.
  std::string add(const std::vector<std::vector<Cell>>& rows, std::size_t terminal_width);

 private:
  std::vector<Cell> names_;
  std::vector<std::size_t> widths_;
};
std::size_t display_width(std::string_view utf8);  // columns of a terminal
std::size_t terminal_width();                      // of standard output; 0: it is none

}  // namespace tidemill::cli
