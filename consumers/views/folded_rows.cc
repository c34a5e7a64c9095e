#include "consumers/views/folded_rows.h"

namespace tidemill::views {

void FoldedRows::take(Fold& fold) {
  for (Fold::Group& group : fold.groups()) {
    const auto [at, fresh] = rows_.try_emplace(std::string(group.key));
    const bool gone =
        !fresh && layout_.expiry() != nullptr && (group.ended != 0 || at->second.header().deadline <= group.first_time);
    if (fresh || gone) at->second = layout_.make();
    for (std::uint32_t a = 0; gone && a < layout_.size(); ++a) members_.erase({at->first, a});
    RowState& row = at->second;
    for (auto i = group.first_member; i != Fold::kNone;) {
      const Fold::Member& m = fold.member(i);
      i = m.next;
      const Aggregate& aggregate = layout_.aggregate(m.aggregate);
      auto& members = members_[{at->first, m.aggregate}];
      const auto [member, is_new] = members.emplace(m.key, m.value);
      if (aggregate.members() == Members::appended && members.size() > aggregate.kept_max())
        members.erase(members.begin());
      if (is_new) continue;
      if (aggregate.members() == Members::set) aggregate.take_back(group.state.state(m.aggregate), 1);
      if (aggregate.members() == Members::latest && member->second < m.value) member->second = m.value;
    }
    row.merge(group.state);
  }
}

Result<void> FoldedRows::each(
    const std::function<Result<void>(const std::string& group_key, const RowState& row)>& visitor) {
  for (const auto& [key, row] : rows_) {
    shown_ = &key;
    RETURN_IF_ERROR(visitor(key, row));
  }
  return {};
}

const RowState* FoldedRows::find(std::string_view group_key) {
  const auto there = rows_.find(group_key);
  if (there == rows_.end()) return nullptr;
  shown_ = &there->first;
  return &there->second;
}

Result<void> FoldedRows::visit(std::uint32_t aggregate, const MemberVisitor& visitor) const {
  const auto there = members_.find({*shown_, aggregate});
  if (there == members_.end()) return {};
  for (const auto& [key, value] : there->second)
    if (!visitor(key, value)) break;
  return {};
}

}  // namespace tidemill::views
