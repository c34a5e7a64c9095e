#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tidemill::cli {

// A cell of a printed table: numbers stand at the right.
struct Cell {
  std::string text;
  bool number = false;
};

// Columns aligned, a line below the names, as many bytes wide as it needs. `terminal_width` 0: nothing is cut; else
// long cells are cut so that a line fits where that is possible.
std::string format_table(const std::vector<std::string>& names, const std::vector<std::vector<Cell>>& rows,
                         std::size_t terminal_width);
std::size_t display_width(std::string_view utf8);  // characters, as a terminal counts most of them
std::size_t terminal_width();                      // of standard output; 0: it is none

}  // namespace tidemill::cli
