#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "consumers/views/cell.h"

namespace tidemill::views {

// The rows that conditions on the first key columns leave, as ranges of stored keys. Conditions come in the order of
// the columns: any number of one_of(), one a column, then bounds of the next column. SQLite checks every row again, so
// a range may be too wide, never too narrow.
class KeyRanges {
 public:
  struct Range {
    std::string lower, upper;  // upper is exclusive
  };

  KeyRanges();
  // The column is one of these values; one: =, IS NULL.
  void one_of(std::span<const Cell> values);
  void at_least(Cell bound, bool beyond);   // `beyond`: what equals the bound is out
  void at_most(Cell bound, bool below);     // `below`: likewise
  void begins_with(std::string_view text);  // of text only: numbers are out

  std::vector<Range> take();  // in the order of the keys, none meets another

 private:
  std::vector<std::string> prefixes_;
  // Of the column behind the prefixes. A bound with `after` stands behind all keys that begin so.
  struct Bound {
    std::string key;
    bool after;
  };
  std::vector<Bound> lower_, upper_;
};

}  // namespace tidemill::views
