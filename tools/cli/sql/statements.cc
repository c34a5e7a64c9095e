#include "tools/cli/sql/statements.h"

namespace tidemill::cli {

bool StatementReader::look(bool at_end) {
  while (at_ < input_.size()) {
    const char c = input_[at_];
    const bool pair_may_follow = c == '-' || c == '/' || c == '*';
    if (pair_may_follow && at_ + 1 == input_.size() && !at_end) return false;
    const char following = at_ + 1 < input_.size() ? input_[at_ + 1] : '\0';
    std::size_t taken = 1;
    switch (within_) {
      case '\0':
        if (c == ';') return true;
        if (c == '-' && following == '-') {
          within_ = '-';
        } else if (c == '/' && following == '*') {
          within_ = '*';
          taken = 2;
        } else if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
          if (!begin_) {
            begin_ = at_;
            begin_line_ = line_;
          }
          if (c == '\'' || c == '"' || c == '`' || c == '[') within_ = c;
        }
        break;
      case '-':
        if (c == '\n') within_ = '\0';
        break;
      case '*':
        if (c == '*' && following == '/') {
          within_ = '\0';
          taken = 2;
        }
        break;
      case '[':
        if (c == ']') within_ = '\0';
        break;
      default:  // a quote that is doubled ends one text and begins the next
        if (c == within_) within_ = '\0';
        break;
    }
    if (c == '\n') ++line_;
    at_ += taken;
  }
  return false;
}

TypedStatement StatementReader::cut() {
  TypedStatement statement{input_.substr(*begin_, at_ - *begin_), begin_line_};
  statement.text.erase(statement.text.find_last_not_of(" \t\r\n") + 1);
  return statement;
}

std::optional<TypedStatement> StatementReader::take() {
  while (look(false)) {
    std::optional<TypedStatement> statement;
    if (begin_) statement = cut();
    input_.erase(0, at_ + 1);
    at_ = 0;
    begin_.reset();
    if (statement) return statement;
  }
  return std::nullopt;
}

std::optional<TypedStatement> StatementReader::rest() {
  (void)look(true);
  std::optional<TypedStatement> statement;
  if (begin_) statement = cut();
  clear();
  return statement;
}

void StatementReader::clear() {
  input_.clear();
  at_ = 0;
  begin_.reset();
  within_ = '\0';
}

}  // namespace tidemill::cli
