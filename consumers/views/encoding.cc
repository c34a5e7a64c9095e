#include "consumers/views/encoding.h"

#include <bit>
#include <cmath>

namespace tidemill::views {
namespace {

enum Tag : char { kNull = 1, kInteger = 2, kReal = 3, kText = 4, kJson = 5 };

}  // namespace

void put_varint(std::uint64_t v, std::string& out) {
  while (v >= 0x80) {
    out += static_cast<char>(v | 0x80);
    v >>= 7;
  }
  out += static_cast<char>(v);
}

bool get_varint(std::string_view& in, std::uint64_t& v) {
  v = 0;
  for (std::size_t i = 0; i < in.size() && i < 10; ++i) {
    auto byte = static_cast<unsigned char>(in[i]);
    if (i == 9 && byte > 1) return false;
    v |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      if (byte == 0 && i > 0) return false;  // a longer spelling of the same number
      in.remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

void put_u64(std::uint64_t v, std::string& out) {
  char bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(v >> (8 * i));
  out.append(bytes, 8);
}

bool get_u64(std::string_view& in, std::uint64_t& v) {
  if (in.size() < 8) return false;
  v = 0;
  for (int i = 7; i >= 0; --i) v = v << 8 | static_cast<unsigned char>(in[static_cast<std::size_t>(i)]);
  in.remove_prefix(8);
  return true;
}

void put_u64_big(std::uint64_t v, std::string& out) {
  char bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(v >> (56 - 8 * i));
  out.append(bytes, 8);
}

bool get_u64_big(std::string_view& in, std::uint64_t& v) {
  if (in.size() < 8) return false;
  v = 0;
  for (std::size_t i = 0; i < 8; ++i) v = v << 8 | static_cast<unsigned char>(in[i]);
  in.remove_prefix(8);
  return true;
}

void put_cell(Cell cell, std::string& out) {
  switch (cell.type()) {
    case CellType::null:
      out += static_cast<char>(kNull);
      return;
    case CellType::integer: {
      out += static_cast<char>(kInteger);
      auto v = static_cast<std::uint64_t>(cell.integer());
      put_varint(v << 1 ^ (cell.integer() < 0 ? ~0ull : 0), out);
      return;
    }
    case CellType::real:
      out += static_cast<char>(kReal);
      put_u64(std::bit_cast<std::uint64_t>(cell.real()), out);
      return;
    case CellType::text:
    case CellType::json:
      out += static_cast<char>(cell.type() == CellType::text ? kText : kJson);
      put_varint(cell.text().size(), out);
      out += cell.text();
      return;
  }
}

bool get_cell(std::string_view& in, Cell& cell) {
  if (in.empty()) return false;
  char tag = in[0];
  in.remove_prefix(1);
  std::uint64_t v = 0;
  switch (tag) {
    case kNull:
      cell = {};
      return true;
    case kInteger:
      if (!get_varint(in, v)) return false;
      cell = Cell::integer(static_cast<std::int64_t>(v >> 1 ^ (v & 1 ? ~0ull : 0)));
      return true;
    case kReal:
      if (!get_u64(in, v)) return false;
      cell = Cell::real(std::bit_cast<double>(v));
      return !std::isnan(cell.real()) && canonical(cell).type() == CellType::real;
    case kText:
    case kJson:
      if (!get_varint(in, v) || v > in.size()) return false;
      cell = Cell::text(in.substr(0, v), tag == kText ? CellType::text : CellType::json);
      in.remove_prefix(v);
      return true;
    default:
      return false;
  }
}

}  // namespace tidemill::views
