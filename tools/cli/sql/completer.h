#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tidemill::cli {

struct ViewWords {
  std::string name;
  std::vector<std::string> columns;
};

// What may stand where the cursor is: the word from `begin` on, exchanged for one of the candidates.
struct Completion {
  std::size_t begin = 0;
  std::vector<std::string> candidates;  // sorted
};

// `earlier`: the lines of the statement before; `line`: this one, up to the cursor. Behind FROM and JOIN a view, behind
// `view.` (or an alias of it) one of its columns, else a column of the views that the statement names (of all, where it
// names none yet), a view, a word of SQL or a function. In a text nothing.
Completion complete(const std::vector<ViewWords>& views, std::string_view earlier, std::string_view line);

}  // namespace tidemill::cli
