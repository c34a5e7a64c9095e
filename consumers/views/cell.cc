#include "consumers/views/cell.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace tidemill::views {
namespace {

int compare_numbers(Cell a, Cell b) {
  auto sign = [](auto x, auto y) { return x < y ? -1 : (x > y ? 1 : 0); };
  if (a.type() == CellType::integer && b.type() == CellType::integer) return sign(a.integer(), b.integer());
  if (a.type() == CellType::real && b.type() == CellType::real) return sign(a.real(), b.real());
  if (a.type() == CellType::real) return -compare_numbers(b, a);
  // An integer and a real. The integer rounded to a double decides unless both are the same double; then what rounding
  // took away does, and between true equals (only beyond 2^53) the integer comes first.
  double rounded = static_cast<double>(a.integer());
  if (rounded != b.real()) return rounded < b.real() ? -1 : 1;
  if (rounded >= 9223372036854775808.0) return -1;
  std::int64_t rest = a.integer() - static_cast<std::int64_t>(rounded);
  return rest > 0 ? 1 : -1;
}

}  // namespace

int compare(Cell a, Cell b) {
  auto rank = [](Cell c) { return c.is_null() ? 0 : (c.is_number() ? 1 : 2); };
  if (rank(a) != rank(b)) return rank(a) < rank(b) ? -1 : 1;
  if (a.is_null()) return 0;
  if (a.is_number()) return compare_numbers(a, b);
  int order = a.text().compare(b.text());
  return order < 0 ? -1 : (order > 0 ? 1 : 0);
}

Value to_value(Cell cell) {
  switch (cell.type()) {
    case CellType::null:
      return {};
    case CellType::integer:
      return cell.integer();
    case CellType::real:
      return cell.real();
    case CellType::text:
      return std::string(cell.text());
    case CellType::json:
      return Json{std::string(cell.text())};
  }
  return {};
}

Cell to_cell(const Value& value) {
  if (auto* i = std::get_if<std::int64_t>(&value)) return Cell::integer(*i);
  if (auto* d = std::get_if<double>(&value)) return Cell::real(*d);
  if (auto* s = std::get_if<std::string>(&value)) return Cell::text(*s);
  if (auto* j = std::get_if<Json>(&value)) return Cell::text(j->text, CellType::json);
  return {};
}

void append_json(Cell cell, std::string& out) {
  char digits[40];
  switch (cell.type()) {
    case CellType::null:
      out += "null";
      return;
    case CellType::integer:
      out.append(digits, std::to_chars(digits, digits + sizeof digits, cell.integer()).ptr);
      return;
    case CellType::real: {
      if (!std::isfinite(cell.real())) {
        out += "null";  // JSON has no infinity
        return;
      }
      char* end = std::to_chars(digits, digits + sizeof digits, cell.real()).ptr;
      auto significant =
          std::count_if(digits, std::find(digits, end, 'e'), [](char c) { return c >= '0' && c <= '9'; });
      if (significant > 15) {
        end = std::to_chars(digits, digits + sizeof digits, cell.real(), std::chars_format::general, 15).ptr;
      }
      out.append(digits, end);
      return;
    }
    case CellType::json:
      out += cell.text();
      return;
    case CellType::text:
      break;
  }
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  std::string_view text = cell.text();
  std::size_t plain = 0;  // bytes since the last one that needed an escape
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, plain, i - plain);
    plain = i + 1;
    out += '\\';
    if (c == '"' || c == '\\') {
      out += c;
    } else if (c == '\n') {
      out += 'n';
    } else if (c == '\t') {
      out += 't';
    } else if (c == '\r') {
      out += 'r';
    } else {
      out += "u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  out.append(text, plain);
  out += '"';
}

const char* type_name(CellType t) {
  switch (t) {
    case CellType::null:
      return "NULL";
    case CellType::integer:
      return "an integer";
    case CellType::real:
      return "a real";
    case CellType::text:
      return "text";
    case CellType::json:
      return "JSON";
  }
  return "?";
}

}  // namespace tidemill::views
