#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "consumers/views/cell.h"

namespace tidemill::views {

// Group keys as bytes: memcmp orders them as SQLite orders the values (NULL, numbers, text), and the encoding of the
// first n terms is a prefix of the whole (docs/formats/view-state.md). Cells are canonical.
void encode_key(Cell term, std::string& out);
void encode_key(std::span<const Cell> terms, std::string& out);
// Without the end mark: keys whose term (text) begins with `text` have these bytes in front.
void encode_key_prefix(std::string_view text, std::string& out);
// The key of so many terms that stands in front of other bytes; empty if there is none, or of no terms.
std::string_view key_in_front(std::string_view bytes, std::size_t terms);
// false: not a key. Text is copied.
bool decode_key(std::string_view bytes, std::size_t terms, Row& out);

}  // namespace tidemill::views
