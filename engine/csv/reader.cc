#include "engine/csv/reader.h"

#include <algorithm>
#include <cstring>

namespace tidemill::csv {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::uint64_t count_lines(std::string_view text) {
  return static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

std::size_t Reader::unescape(std::string_view quoted) {
  const std::size_t begin = scratch_.size();
  while (true) {
    const std::size_t quote = quoted.find('"');
    if (quote == std::string_view::npos) break;
    scratch_.append(quoted.substr(0, quote + 1));
    quoted.remove_prefix(quote + 2);
  }
  scratch_.append(quoted);
  return begin;
}

// Leaves the row out and goes on behind `row_end`.
Outcome Reader::bad(std::string_view& input, std::size_t row_end, std::uint64_t lines, Problem problem,
                    std::uint64_t problem_line, Row& row) {
  row.fields.clear();
  row.raw = input.substr(0, row_end);
  input.remove_prefix(row_end);
  if (!input.empty() && input.front() == '\n') {
    input.remove_prefix(1);
    ++lines;
  } else {
    skipping_ = true;
  }
  if (row.raw.ends_with('\r')) row.raw.remove_suffix(1);
  row.line = line_;
  row.problem = problem;
  row.problem_line = problem_line;
  line_ += lines;
  return Outcome::bad_row;
}

Outcome Reader::next(std::string_view& input, bool last, Row& row) {
  if (!started_) {
    if (!last && input.size() < kByteOrderMark.size()) return Outcome::need_more;
    if (input.starts_with(kByteOrderMark)) input.remove_prefix(kByteOrderMark.size());
    started_ = true;
  }
  if (skipping_) {  // the rest of a line that was too long to hold
    const std::size_t end = input.find('\n');
    if (end == std::string_view::npos) {
      input = {};
      return last ? Outcome::end : Outcome::need_more;
    }
    input.remove_prefix(end + 1);
    ++line_;
    skipping_ = false;
  }
  while (!input.empty()) {  // empty lines
    if (input.front() == '\n') {
      input.remove_prefix(1);
    } else if (input.starts_with("\r\n")) {
      input.remove_prefix(2);
    } else if (input == "\r" && last) {
      input.remove_prefix(1);
      break;
    } else {
      break;
    }
    ++line_;
  }
  if (input.empty()) return last ? Outcome::end : Outcome::need_more;

  const char* const text = input.data();
  const std::size_t size = std::min(input.size(), dialect_.row_bytes_max);
  const char delimiter = dialect_.delimiter;
  found_.clear();
  scratch_.clear();
  std::uint64_t lines = 0;  // ends of line inside quoted fields so far
  std::size_t at = 0;
  Problem problem = Problem::none;
  std::uint64_t problem_line = 0;

  // Where the first line of the row ends: what a row that cannot be read is cut to.
  const auto first_line = [&] {
    const void* end = std::memchr(text, '\n', input.size());
    return end ? static_cast<std::size_t>(static_cast<const char*>(end) - text) : input.size();
  };
  // Of a row that is refused anyway no more is kept: it may be a million of nothing.
  const auto found = [&](std::size_t begin, std::size_t bytes, bool unescaped) {
    if (problem == Problem::none) found_.push_back({begin, bytes, unescaped});
  };
  const auto out_of_input = [&](bool quoted) -> Outcome {
    scanned_ += size;
    if (input.size() >= dialect_.row_bytes_max) {
      const std::size_t end = first_line();
      return bad(input, end, 0, quoted ? Problem::unclosed_quote : Problem::row_too_long, line_ + lines, row);
    }
    if (!last) return Outcome::need_more;
    return bad(input, first_line(), 0, Problem::unclosed_quote, line_ + lines, row);
  };

  while (true) {
    if (at < size && text[at] == '"') {
      const std::size_t begin = at + 1;
      const std::uint64_t opened = lines;
      bool doubled = false;
      ++at;
      while (true) {
        const void* quote = at < size ? std::memchr(text + at, '"', size - at) : nullptr;
        if (!quote) {
          lines = opened;
          return out_of_input(true);
        }
        at = static_cast<std::size_t>(static_cast<const char*>(quote) - text) + 1;
        if (at < size && text[at] == '"') {
          doubled = true;
          ++at;
          continue;
        }
        if (at == size && !(last && size == input.size())) {  // perhaps the first half of a doubled one
          lines = opened;
          return out_of_input(true);
        }
        break;
      }
      const std::string_view inside(text + begin, at - 1 - begin);
      lines += count_lines(inside);
      if (doubled) {
        const std::size_t from = unescape(inside);
        found(from, scratch_.size() - from, true);
      } else {
        found(begin, inside.size(), false);
      }
      const bool ends = at == size || text[at] == delimiter || text[at] == '\n' ||
                        (text[at] == '\r' && (at + 1 >= size || text[at + 1] == '\n'));
      if (!ends && problem == Problem::none) {
        problem = Problem::text_after_quote;
        problem_line = line_ + lines;
      }
      while (at < size && text[at] != delimiter && text[at] != '\n') ++at;
    } else {
      const std::size_t begin = at;
      while (at < size && text[at] != delimiter && text[at] != '\n') ++at;
      std::size_t end = at;
      if (end > begin && text[end - 1] == '\r' && (at == size || text[at] == '\n')) --end;
      found(begin, end - begin, false);
    }
    if (at == size) {
      if (size < input.size() || !last) return out_of_input(false);
      break;
    }
    if (text[at] == '\n') break;
    ++at;  // the delimiter
    if (found_.size() >= dialect_.fields_max && problem == Problem::none) {
      problem = Problem::too_many_columns;
      problem_line = line_ + lines;
    }
  }
  scanned_ += at;
  if (problem != Problem::none) return bad(input, at, lines, problem, problem_line, row);

  row.fields.resize(found_.size());
  for (std::size_t i = 0; i < found_.size(); ++i) {
    const Field& f = found_[i];
    row.fields[i] = {f.unescaped ? scratch_.data() + f.begin : text + f.begin, f.size};
  }
  row.raw = {text, at};
  if (row.raw.ends_with('\r')) row.raw.remove_suffix(1);
  row.line = line_;
  row.problem = Problem::none;
  line_ += lines;
  if (at < input.size()) {
    ++at;
    ++line_;
  }
  input.remove_prefix(at);
  return Outcome::row;
}

}  // namespace tidemill::csv
