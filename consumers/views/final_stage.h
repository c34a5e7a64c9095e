#pragma once

#include <memory>
#include <span>

#include "consumers/views/definition.h"
#include "consumers/views/state.h"

namespace tidemill::views {

// The final stage of one view: from a stored row to the output columns. Columns that are a group term or an aggregate
// as it stands are copied; only expressions step SQLite. One thread at a time.
class FinalStage {
 public:
  static SqlResult<std::unique_ptr<FinalStage>> prepare(const Definition& definition);
  ~FinalStage();

  // `wanted` (empty: all) says which output columns are needed; others stay NULL, and members that nobody needs are
  // not read. Where SQL cannot work out an expression of this row (number('x')), the expressions are NULL, as a
  // division by zero is. An error is the store's.
  Result<void> run(const Row& group_key, const RowState& state, const MemberSource& members,
                   std::span<const bool> wanted, Row& out);

 private:
  struct Impl;
  explicit FinalStage(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidemill::views
