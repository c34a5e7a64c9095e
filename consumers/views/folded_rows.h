#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "consumers/views/fold.h"
#include "consumers/views/state.h"

namespace tidemill::views {

// The rows of some records alone, in memory, with what their aggregates keep below them: what the store would have if
// these were all records. For a trial, and for a row as it was. One thread at a time; must not outlive the layout.
class FoldedRows final : public MemberSource {
 public:
  explicit FoldedRows(const StateLayout& layout) : layout_(layout) {}

  // Adds what a fold has, as fold.h says. Folds come in the order of their records.
  void take(Fold& fold);

  // By key. While one is visited, and after it was looked up, visit() gives its members.
  Result<void> each(const std::function<Result<void>(const std::string& group_key, const RowState& row)>& visitor);
  const RowState* find(std::string_view group_key);  // nullptr: none of the records is in it

  Result<void> visit(std::uint32_t aggregate, const MemberVisitor& visitor) const override;

 private:
  const StateLayout& layout_;
  std::map<std::string, RowState, std::less<>> rows_;
  std::map<std::pair<std::string, std::uint32_t>, std::map<std::string, std::string>> members_;
  const std::string* shown_ = nullptr;
};

}  // namespace tidemill::views
