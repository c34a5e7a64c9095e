#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tidemill::csv {

// How a file is written. Quotes are always `"` (doubled inside), rows end with LF or CR LF.
struct Dialect {
  char delimiter = ',';
  std::size_t row_bytes_max = 1 << 20;  // beyond it a row is refused; a quote that is never closed ends here, too
  std::size_t fields_max = 10'000;
};

enum class Problem {
  none,
  unclosed_quote,    // a quoted field goes on to the end of the input
  text_after_quote,  // "a"b
  row_too_long,      // more bytes than row_bytes_max
  too_many_columns,  // more fields than fields_max
};

// One row as it was read. Everything in it is a view of the input or of the reader, good until its next call.
struct Row {
  std::vector<std::string_view> fields;  // quotes taken off; bytes in the file's own encoding
  std::string_view raw;                  // as it stands in the input, without the line end
  std::uint64_t line = 0;                // where it begins, from 1; a quoted field may span lines
  Problem problem = Problem::none;       // set for Outcome::bad_row
  std::uint64_t problem_line = 0;        // where the trouble begins
};

enum class Outcome {
  row,
  bad_row,    // `problem` says why; reading goes on after it
  need_more,  // the input ends inside a row: call again with these bytes and more behind them
  end,        // nothing is left
};

// Cuts CSV (RFC 4180) into rows, as the bytes come. It owns no input and keeps no bytes between calls: the caller holds
// what has not been read. Not thread-safe; one per input.
//
// Beyond the RFC: a byte-order mark is skipped, empty lines are skipped, a quote inside a field that does not begin
// with one stands for itself. After a quote that is never closed, reading goes on behind the first line of its row, so
// that one slip does not swallow the rest of the file.
class Reader {
 public:
  explicit Reader(const Dialect& dialect) : dialect_(dialect) {}

  // Takes one row off the front of `input`. `last`: nothing comes after these bytes.
  Outcome next(std::string_view& input, bool last, Row& row);

  // The line that the next row begins on, from 1.
  std::uint64_t line() const { return line_; }
  // Bytes looked at so far. More than were taken where quotes are never closed: such a row is read up to row_bytes_max,
  // and all but its first line once more.
  std::uint64_t scanned() const { return scanned_; }
  // For going on in the middle of a file, at the beginning of a row.
  void resume(std::uint64_t line) {
    line_ = line;
    started_ = true;
  }

 private:
  struct Field {
    std::size_t begin;
    std::size_t size;
    bool unescaped;  // in scratch_ instead of the input
  };
  Outcome bad(std::string_view& input, std::size_t row_end, std::uint64_t lines, Problem problem,
              std::uint64_t problem_line, Row& row);
  std::size_t unescape(std::string_view quoted);

  Dialect dialect_;
  std::uint64_t line_ = 1;
  std::uint64_t scanned_ = 0;
  bool started_ = false;   // beyond the byte-order mark
  bool skipping_ = false;  // behind a row that was refused before its end had come
  std::vector<Field> found_;
  std::string scratch_;  // fields that had doubled quotes
};

}  // namespace tidemill::csv
