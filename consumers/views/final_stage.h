#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "consumers/views/definition.h"
#include "consumers/views/state.h"

namespace tidemill::views {

// The final stage of one view: from a stored row to the output columns. Columns that are a group term or an aggregate
// as it stands are copied; only expressions step SQLite. One thread at a time.
class FinalStage {
 public:
  static SqlResult<std::unique_ptr<FinalStage>> prepare(const Definition& definition);
  ~FinalStage();

  // What is needed of a row, worked out once for many.
  struct Selection {
    std::vector<std::uint32_t> columns;  // of the output
    std::vector<std::uint32_t> stored;   // columns that their expressions use: group terms, then aggregates
    bool groups = false;                 // a group term is needed
    bool expressions = false;            // SQLite is needed
    std::uint32_t aggregates_end = 0;    // no aggregate from here on is needed; for StateLayout::decode()
  };
  // `wanted`: which output columns; empty: all.
  Selection select(const StateLayout& layout, std::span<const bool> wanted) const;

  // `out`: empty, or a row of the same selection, whose memory is used again. Columns that were not selected are NULL,
  // and members that nobody needs are not read. Where SQL cannot work out an expression of this row (number('x')), the
  // expressions are NULL, as a division by zero is. An error is the store's.
  Result<void> run(const Row& group_key, const RowState& state, const MemberSource& members, const Selection& selection,
                   Row& out);

 private:
  struct Impl;
  explicit FinalStage(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidemill::views
