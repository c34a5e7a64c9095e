#include "consumers/views/key.h"

#include <bit>
#include <cmath>

#include "consumers/views/encoding.h"

namespace tidemill::views {
namespace {

// Order of the types; between them nothing, so that a term's first byte is never 0x00 or 0xFF.
enum Tag : char { kNull = 0x10, kNumber = 0x20, kText = 0x30 };
// Text: a zero byte is written 00 FF, the end 00 01. No text's bytes are then the beginning of another's.
constexpr char kZero = '\0', kEscaped = '\xFF', kEnd = '\x01';
constexpr std::uint16_t kMiddle = 0x8000;
constexpr std::size_t kNumberBytes = 10;  // behind the tag

// The bits of a double so that unsigned order is numeric order.
std::uint64_t sortable(double v) {
  auto bits = std::bit_cast<std::uint64_t>(v);
  return bits >> 63 ? ~bits : bits | 1ull << 63;
}
double unsorted(std::uint64_t bits) {
  return std::bit_cast<double>(bits >> 63 ? bits & ~(1ull << 63) : ~bits);
}

constexpr double kTwo63 = 9223372036854775808.0;
// An integral double within +-2^63 as an integer, in unsigned arithmetic: the nearest double of the largest integers is
// 2^63 itself.
std::uint64_t integer_bits(double v) {
  return v >= kTwo63 ? 1ull << 63 : static_cast<std::uint64_t>(static_cast<std::int64_t>(v));
}

// A number is its nearest double and, behind it, what an integer beyond 2^53 differs from that double (at most 1,024),
// doubled, plus one for a real: order is that of compare().
void put_number(Cell term, std::string& out) {
  out += static_cast<char>(kNumber);
  double nearest = term.type() == CellType::integer ? static_cast<double>(term.integer()) : term.real();
  int rest = 0;
  if (term.type() == CellType::real) {
    rest = 1;
  } else {
    rest = static_cast<int>(static_cast<std::uint64_t>(term.integer()) - integer_bits(nearest)) * 2;
  }
  put_u64_big(sortable(nearest), out);
  auto code = static_cast<std::uint16_t>(kMiddle + rest);
  out += static_cast<char>(code >> 8);
  out += static_cast<char>(code);
}

bool get_number(std::string_view& in, Cell& term) {
  std::string_view whole = in;
  std::uint64_t bits = 0;
  if (!get_u64_big(in, bits) || in.size() < 2) return false;
  int rest = (static_cast<unsigned char>(in[0]) << 8 | static_cast<unsigned char>(in[1])) - kMiddle;
  in.remove_prefix(2);
  double nearest = unsorted(bits);
  if (std::isnan(nearest)) return false;
  if (rest & 1) {
    term = Cell::real(nearest);
  } else {
    if (!(std::fabs(nearest) <= kTwo63)) return false;
    term = Cell::integer(static_cast<std::int64_t>(integer_bits(nearest) + static_cast<std::uint64_t>(rest / 2)));
  }
  // Only the one spelling of a value is a key.
  std::string again;
  put_number(canonical(term), again);
  return again.substr(1) == whole.substr(0, again.size() - 1);
}

}  // namespace

void encode_key_prefix(std::string_view text, std::string& out) {
  out += static_cast<char>(kText);
  for (char c : text) {
    out += c;
    if (c == kZero) out += kEscaped;
  }
}

void encode_key(Cell term, std::string& out) {
  if (term.is_null()) {
    out += static_cast<char>(kNull);
  } else if (term.is_number()) {
    put_number(term, out);
  } else {
    std::string_view text = term.text();
    if (text.find(kZero) == std::string_view::npos) {
      out += static_cast<char>(kText);
      out += text;
    } else {
      encode_key_prefix(text, out);
    }
    out += kZero;
    out += kEnd;
  }
}

void encode_key(std::span<const Cell> terms, std::string& out) {
  for (Cell term : terms) encode_key(term, out);
}

std::string_view key_in_front(std::string_view bytes, std::size_t terms) {
  std::size_t at = 0;
  for (; terms > 0; --terms) {
    if (at >= bytes.size()) return {};
    const char tag = bytes[at++];
    if (tag == kNumber) at += kNumberBytes;
    if (tag != kText) continue;
    for (bool end = false; !end; at += 2) {
      at = bytes.find(kZero, at);
      if (at == std::string_view::npos || at + 1 >= bytes.size()) return {};
      end = bytes[at + 1] == kEnd;
    }
  }
  return at <= bytes.size() ? bytes.substr(0, at) : std::string_view();
}

bool decode_key(std::string_view in, std::size_t terms, Row& out) {
  out.clear();
  for (; terms > 0; --terms) {
    if (in.empty()) return false;
    char tag = in[0];
    in.remove_prefix(1);
    if (tag == kNull) {
      out.emplace_back();
    } else if (tag == kNumber) {
      Cell term;
      if (!get_number(in, term)) return false;
      out.push_back(to_value(term));
    } else if (tag == kText) {
      std::string text;
      for (;;) {
        std::size_t zero = in.find(kZero);
        if (zero == std::string_view::npos || zero + 1 >= in.size()) return false;
        text += in.substr(0, zero);
        char after = in[zero + 1];
        in.remove_prefix(zero + 2);
        if (after == kEnd) break;
        if (after != kEscaped) return false;
        text += kZero;
      }
      out.emplace_back(std::move(text));
    } else {
      return false;
    }
  }
  return in.empty();
}

}  // namespace tidemill::views
