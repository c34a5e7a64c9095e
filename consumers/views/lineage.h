#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "consumers/views/database.h"
#include "consumers/views/state.h"

namespace tidemill::views {

// The lineage of a row: the sequences of the records that are in it (docs/decisions/0052). The latest stand in the row
// itself, RowState::recent(); the others below it in pieces, each under the last of its sequences, in the family and
// the write that have the row.
//
// Which record ends a piece is a function of its sequence (one of 16, as chance has it), and of nothing else but the
// length of what is before it: so the bytes depend on which records are in the row, whatever batches they came in.

bool ends_piece(std::uint64_t sequence);
inline constexpr std::uint32_t kPieceMax = 1'024;  // and no piece has more

// Records come in order: this one is behind `last`, the last that is in the row, and in the row when it returns.
void add_in_turn(Recent& recent, std::string_view group_key, std::uint64_t last, std::uint64_t sequence, WriteSet& set);

// Records that are counted late, ascending: wherever they belong. The row does not have them yet. Reads the store,
// which must not have been changed since the row was.
Result<void> add_late(const Database& database, const Family& family, std::string_view group_key, Recent& recent,
                      std::uint64_t last, std::span<const std::uint64_t> sequences, WriteSet& set);

// Which records are in a row that the snapshot has, a page of them.
struct LineagePage {
  std::vector<std::uint64_t> sequences;
  std::optional<std::uint64_t> next;  // where the next page begins; nullopt: that was all
};
struct LineageFrom {
  std::uint64_t sequence = 0;  // it and what is later, ascending
  bool backwards = false;      // it and what is earlier, descending
  std::uint32_t limit = 100;
};
Result<LineagePage> read_lineage(const Snapshot& snapshot, const Family& family, std::string_view group_key,
                                 const RowState& row, const LineageFrom& from);

}  // namespace tidemill::views
