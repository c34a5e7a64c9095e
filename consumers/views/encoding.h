#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "consumers/views/cell.h"

namespace tidemill::views {

// The words of docs/formats/view-state.md. Readers take their bytes from the front of `in`; false: damaged, or not the
// one canonical spelling.

// 7 bits a byte, low ones first, the top bit says that more follow; the shortest form only.
void put_varint(std::uint64_t v, std::string& out);
bool get_varint(std::string_view& in, std::uint64_t& v);

void put_u64(std::uint64_t v, std::string& out);  // little-endian
bool get_u64(std::string_view& in, std::uint64_t& v);
void put_u64_big(std::uint64_t v, std::string& out);  // big-endian: memcmp orders it
bool get_u64_big(std::string_view& in, std::uint64_t& v);

// A canonical cell: 1 byte of type, then zigzag varint, 8 bytes, or length and text. The cell read views `in`.
void put_cell(Cell cell, std::string& out);
bool get_cell(std::string_view& in, Cell& cell);

}  // namespace tidemill::views
