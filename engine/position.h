#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "storage/base/ids.h"

namespace tidemill {

// Where a reader of a stream is: opaque above storage, for over Kafka it is a vector of offsets. Compare, encode,
// advance; nothing else. `through(s)` says that everything up to and with s is included.
class Position {
 public:
  Position() = default;  // nothing included
  static Position through(Sequence s) { return Position(s); }
  Sequence sequence() const { return sequence_; }  // for answers that show one, and for the log below
  void advance_to(Position p) {
    if (*this < p) *this = p;
  }
  bool operator==(const Position&) const = default;
  auto operator<=>(const Position&) const = default;
  std::string encode() const;
  static std::optional<Position> decode(std::string_view text);

 private:
  explicit Position(Sequence s) : sequence_(s) {}
  Sequence sequence_;
};

// A position that a client can hold: of one life of one stream. A token of another incarnation, or of an epoch whose
// end was cut off before this position, must be answered 410.
struct Token {
  StreamId stream;
  Incarnation incarnation;
  Epoch epoch;
  Position position;
  std::string encode() const;  // URL-safe, opaque, checksummed
  static std::optional<Token> decode(std::string_view text);
};

}  // namespace tidemill
