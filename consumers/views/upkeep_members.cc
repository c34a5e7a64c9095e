// What aggregates keep below a row: sets, lists and maps.
#include <algorithm>
#include <map>

#include "consumers/views/upkeep.h"

namespace tidemill::views {
namespace {

constexpr std::size_t kLowestMax = 4'096;  // lists of which it is known where they begin

}  // namespace

// Members of sets count only once: the delta takes back those that the store has already.
Result<void> Upkeep::drop_known_members() {
  dropped_.clear();
  if (!layout_.has_members()) return {};
  const auto groups = fold_.groups();
  struct Lookup {
    std::uint32_t group;
    std::uint32_t member;
  };
  std::vector<Lookup> lookups;
  std::vector<std::string> keys;
  for (std::uint32_t g = 0; g < groups.size(); ++g) {
    for (std::uint32_t m = groups[g].first_member; m != Fold::kNone; m = fold_.member(m).next) {
      if (m >= dropped_.size()) dropped_.resize(m + 1, false);
      const Fold::Member& member = fold_.member(m);
      if (!existed_[g] || (expiry_ && anew_[g]) || layout_.aggregate(member.aggregate).members() != Members::set)
        continue;
      lookups.push_back({g, m});
      keys.push_back(member_space(groups[g].key, member.aggregate).append(member.key));
    }
  }
  const std::vector<std::string_view> views(keys.begin(), keys.end());
  std::vector<std::optional<std::string>> found;
  RETURN_IF_ERROR(database_.get(*family_, views, found));
  for (std::size_t i = 0; i < lookups.size(); ++i) {
    if (!found[i]) continue;
    dropped_[lookups[i].member] = true;
    const std::uint32_t aggregate = fold_.member(lookups[i].member).aggregate;
    layout_.aggregate(aggregate).take_back(groups[lookups[i].group].state.state(aggregate), 1);
  }
  return {};
}

// Before the row has them. Those that come in their turn are behind all that are in it.
Result<void> Upkeep::put_members(std::uint32_t group) {
  const Fold::Group& g = fold_.groups()[group];
  count_appended(group);
  std::string key;
  for (std::uint32_t m = g.first_member; m != Fold::kNone; m = fold_.member(m).next) {
    const Fold::Member& member = fold_.member(m);
    if (dropped_[m] || appended_[member.aggregate] > room_[member.aggregate]) continue;
    key = member_space(g.key, member.aggregate);
    key += member.key;
    set_.put(key, member.value);
  }
  for (std::uint32_t a = 0; a < layout_.size(); ++a)
    if (appended_[a] > room_[a]) RETURN_IF_ERROR(put_highest(group, a));
  return {};
}

// Those that come for this row, and how many more it takes before the lowest go.
void Upkeep::count_appended(std::uint32_t group) {
  appended_.assign(layout_.size(), 0);
  room_.assign(layout_.size(), 0);
  for (std::uint32_t m = fold_.groups()[group].first_member; m != Fold::kNone; m = fold_.member(m).next) {
    const std::uint32_t a = fold_.member(m).aggregate;
    if (layout_.aggregate(a).members() != Members::appended) continue;
    if (appended_[a]++ == 0) room_[a] = layout_.aggregate(a).room(rows_[group]->state(a));
  }
}

// The highest of them stay, as many as are kept: the lowest go, of those that are there and those that come alike.
// What went before has left its marks in front of those that are there, and reading over them takes long: `lowest_`.
Result<void> Upkeep::put_highest(std::uint32_t group, std::uint32_t aggregate) {
  const Fold::Group& g = fold_.groups()[group];
  const std::string space = member_space(g.key, aggregate);
  std::map<std::string, std::string_view> added;
  for (std::uint32_t m = g.first_member; m != Fold::kNone; m = fold_.member(m).next) {
    const Fold::Member& member = fold_.member(m);
    if (member.aggregate == aggregate) added.emplace(space + std::string(member.key), member.value);
  }
  const auto known = lowest_.find(space);
  const std::string from = known == lowest_.end() ? space : known->second;
  const auto snapshot = database_.snapshot();
  const auto stored = snapshot->cursor(*family_, from, behind_prefix(space));
  // What is there of a row that begins anew is on its way out.
  const bool any = existed_[group] && !(expiry_ && anew_[group]);
  for (std::uint64_t excess = added.size() - room_[aggregate]; excess > 0; --excess) {
    if (any && stored->valid() && stored->key() < added.begin()->first) {
      set_.remove(stored->key());
      stored->next();
    } else {
      added.erase(added.begin());
    }
  }
  if (const ErrorCode error = stored->error()) return error;
  for (const auto& [key, value] : added) set_.put(key, value);
  if (lowest_.size() >= kLowestMax) lowest_.clear();
  if (any && stored->valid()) {
    // One that came late may lie below those that stayed.
    const bool below = !added.empty() && added.begin()->first < stored->key();
    lowest_[space] = below ? added.begin()->first : std::string(stored->key());
  }
  return {};
}

// After others that came behind them.
Result<void> Upkeep::put_members_late(std::uint32_t group) {
  const Fold::Group& g = fold_.groups()[group];
  count_appended(group);
  for (std::uint32_t m = g.first_member; m != Fold::kNone; m = fold_.member(m).next) {
    const Fold::Member& member = fold_.member(m);
    if (dropped_[m] || appended_[member.aggregate] > room_[member.aggregate]) continue;
    if (layout_.aggregate(member.aggregate).members() != Members::latest)
      set_.put(member_space(g.key, member.aggregate).append(member.key), member.value);
  }
  RETURN_IF_ERROR(put_latest_late(g));
  lowest_.clear();  // one of these may be lower
  for (std::uint32_t a = 0; a < layout_.size(); ++a)
    if (appended_[a] > room_[a]) RETURN_IF_ERROR(put_highest(group, a));
  return {};
}

// The greater value of a key stays, and that may be the one that is there.
Result<void> Upkeep::put_latest_late(const Fold::Group& group) {
  std::vector<std::string> keys;
  std::vector<std::string_view> values;
  for (std::uint32_t m = group.first_member; m != Fold::kNone; m = fold_.member(m).next) {
    const Fold::Member& member = fold_.member(m);
    if (layout_.aggregate(member.aggregate).members() != Members::latest) continue;
    keys.push_back(member_space(group.key, member.aggregate).append(member.key));
    values.push_back(member.value);
  }
  const std::vector<std::string_view> views(keys.begin(), keys.end());
  std::vector<std::optional<std::string>> found;
  RETURN_IF_ERROR(database_.get(*family_, views, found));
  for (std::size_t i = 0; i < keys.size(); ++i)
    if (!found[i] || *found[i] < values[i]) set_.put(keys[i], values[i]);
  return {};
}

void Upkeep::forget_rows() {
  cache_.clear();
  lowest_.clear();
}

}  // namespace tidemill::views
