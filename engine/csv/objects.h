#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/csv/encoding.h"
#include "engine/csv/reader.h"
#include "engine/rejection.h"
#include "engine/stream.h"

namespace tidemill::csv {

// As the stream declares them; a column that is not named is text.
using FieldTypes = std::map<std::string, FieldType, std::less<>>;

// Why one row did not become an object, or (Outcome::failed, where the code means nothing) why none of them can.
struct RowError {
  Rejection code{};
  std::string message;  // a sentence that names the column and the value; without the line number
};

// Turns CSV into JSON objects, one per row, names (of 4,096 bytes at most) from the header row, in the order of the
// columns.
//
//   text     a JSON string, whatever it looks like
//   integer  the digits as they stand, if they are a JSON integer of at most 64 bits (-2^63 to 2^64-1)
//   number   as it stands, if it is a JSON number that a double can hold
//   empty    null, whatever the type, quoted or not
//
// Blanks belong to the value. A value that its type does not allow refuses the row. Not thread-safe; owns no input.
class ObjectReader {
 public:
  ObjectReader(const Dialect& dialect, Encoding encoding, FieldTypes types);
  ~ObjectReader();

  enum class Outcome {
    object,     // appended to `out`, without a line end
    rejected,   // error() says why this row is left out; reading goes on
    need_more,  // as Reader
    end,
    failed,  // error() says why the file cannot be read at all: its header
  };
  // Reads the header row first. Takes what it has read off the front of `input`.
  Outcome next(std::string_view& input, bool last, std::string& out);

  // The header only: object (nothing appended), need_more or failed. next() does it by itself.
  Outcome read_header(std::string_view& input, bool last);

  // After the header was read: other types than the reader was made with, for what they depend on the columns.
  void set_types(const FieldTypes& types);

  const RowError& error() const { return error_; }
  const Row& row() const { return row_; }       // the last one read
  std::uint64_t made() const { return made_; }  // bytes of JSON, those of rejected rows too
  std::uint64_t scanned() const { return reader_.scanned(); }
  std::uint64_t rows() const { return rows_; }                // read so far, rejected ones too, without the header
  std::uint64_t next_line() const { return reader_.line(); }  // that the next row begins on
  const std::vector<std::string>& columns() const { return columns_; }  // in UTF-8
  std::optional<std::size_t> column(std::string_view name) const;
  std::string_view header() const { return header_; }  // as it stands in the file

  // After the header was read: goes on in the middle of the file, at the beginning of a row.
  void resume(std::uint64_t line, std::uint64_t rows);

 private:
  Outcome fail(std::string message);
  Outcome reject(Rejection code, std::string message);
  bool write(std::string& out);

  Reader reader_;
  Encoding encoding_;
  FieldTypes types_;
  Row row_;
  RowError error_;
  std::uint64_t rows_ = 0;
  std::uint64_t made_ = 0;
  std::string header_;
  std::vector<std::string> columns_;
  std::vector<std::string> prefixes_;  // {"Name": and ,"Name":
  std::vector<FieldType> column_types_;
  std::size_t prefix_bytes_ = 0;
  std::unique_ptr<char[]> buffer_;
  std::size_t buffer_size_ = 0;
};

// Finds the types of a file's columns, row by row: a column is a number if every value in it that is not empty is a
// JSON number (so without leading zeros) that a 64-bit integer or a double can hold, and there is at least one.
class TypeDetector {
 public:
  void add(const Row& row);
  // By the names of `columns`; only the columns that are numbers.
  FieldTypes result(const std::vector<std::string>& columns) const;

 private:
  enum class Seen : std::uint8_t { nothing, numbers, text };
  std::vector<Seen> seen_;
};

// What kind of JSON number the text is; `none` also for one that is out of range.
enum class NumberKind { none, integer, real };
NumberKind number_kind(std::string_view text);

}  // namespace tidemill::csv
