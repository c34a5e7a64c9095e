#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "consumers/views/views.h"

namespace tidemill::views {

enum class CellType : std::uint8_t { null, integer, real, text, json };

// One SQL value on its way through the row stage: 16 bytes, text is a view of memory that somebody else keeps (the
// parsed batch, SQLite's statement until its next step, a decoded row). `json` is text that is a JSON object or array.
class Cell {
 public:
  Cell() = default;
  static Cell integer(std::int64_t v) {
    Cell c;
    c.type_ = CellType::integer;
    c.integer_ = v;
    return c;
  }
  static Cell real(double v) {
    Cell c;
    c.type_ = CellType::real;
    c.real_ = v;
    return c;
  }
  static Cell text(std::string_view v, CellType type = CellType::text) {
    Cell c;
    c.type_ = type;
    c.data_ = v.data();
    c.size_ = static_cast<std::uint32_t>(v.size());
    return c;
  }

  CellType type() const { return type_; }
  bool is_null() const { return type_ == CellType::null; }
  bool is_number() const { return type_ == CellType::integer || type_ == CellType::real; }
  bool is_text() const { return type_ == CellType::text || type_ == CellType::json; }
  std::int64_t integer() const { return integer_; }
  double real() const { return real_; }
  std::string_view text() const { return {data_, size_}; }

 private:
  union {
    std::int64_t integer_ = 0;
    double real_;
    const char* data_;
  };
  std::uint32_t size_ = 0;
  CellType type_ = CellType::null;
};

// One value, one form: a real without a fraction within +-2^53 becomes an integer, -0.0 becomes 0.
inline Cell canonical(Cell cell) {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (cell.type() != CellType::real) return cell;
  double v = cell.real();
  if (!(v >= -kExact && v <= kExact)) return cell;
  auto whole = static_cast<std::int64_t>(v);
  return static_cast<double>(whole) == v ? Cell::integer(whole) : cell;
}
// SQLite's order: NULL, then numbers by value, then text by bytes. Both canonical. <0, 0, >0; 0 only for the same
// value.
int compare(Cell a, Cell b);

Value to_value(Cell cell);         // copies text
Cell to_cell(const Value& value);  // a view of it
// As JSON: NULL is null, text is quoted, a real has at most 15 digits.
void append_json(Cell cell, std::string& out);
const char* type_name(CellType t);  // for sentences: NULL, integer, real, text, JSON

}  // namespace tidemill::views
