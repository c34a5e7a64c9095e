#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tidemill::cli {

struct TypedStatement {
  std::string text;      // without the `;`
  std::size_t line = 1;  // of the input on which it begins
};

// Cuts what is typed, or comes from a file, into statements at each `;` that stands in no text, name or comment.
class StatementReader {
 public:
  void add(std::string_view text) { input_ += text; }
  // The next one that is whole; nullopt: more has to come.
  std::optional<TypedStatement> take();
  // At the end of the input: what stands there without its `;`. Nothing where that is blanks and comments.
  std::optional<TypedStatement> rest();
  // Forgets what was begun.
  void clear();

  bool begun() const { return begin_.has_value(); }  // a statement, not only blanks and comments
  // What the end of the input is within: ' " ` [ - * (comments); 0: none of them.
  char within() const { return within_; }

 private:
  bool look(bool at_end);  // true: input_[at_] is the `;` of a statement
  TypedStatement cut();

  std::string input_;  // from the end of the last statement on
  std::size_t at_ = 0;
  std::size_t line_ = 1;  // of input_[at_]
  std::optional<std::size_t> begin_;
  std::size_t begin_line_ = 1;
  char within_ = '\0';
};

}  // namespace tidemill::cli
