#include "consumers/views/upkeep.h"

#include <algorithm>

#include "storage/base/check.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"

namespace tidemill::views {

Upkeep::Upkeep(Env& env, const Definition& definition, Database& database, std::shared_ptr<Family> family,
               std::uint64_t cache_bytes)
    : env_(env),
      database_(database),
      family_(std::move(family)),
      layout_(definition),
      fold_(layout_),
      cache_(cache_bytes) {}

SqlResult<std::unique_ptr<Upkeep>> Upkeep::open(Env& env, const Definition& definition, Database& database,
                                                std::shared_ptr<Family> family, FieldSet& fields,
                                                std::uint64_t cache_bytes) {
  std::unique_ptr<Upkeep> upkeep(new Upkeep(env, definition, database, std::move(family), cache_bytes));
  auto stage = RowStage::prepare(definition, fields);
  if (auto* error = std::get_if<SqlError>(&stage)) return *error;
  upkeep->stage_ = std::move(std::get<0>(stage));

  std::vector<std::optional<std::string>> found;
  const std::string_view key = kCheckpointKey;
  const bool read = database.get(*upkeep->family_, {&key, 1}, found).has_value();
  const auto checkpoint = !read      ? std::nullopt
                          : found[0] ? decode_checkpoint(*found[0])
                                     : std::optional<Checkpoint>(Checkpoint{});
  if (!checkpoint) {
    return SqlError{"view_damaged",
                    "The view's store cannot be read. Stop the server, move DATA/views away and start it: all views "
                    "are built again."};
  }
  upkeep->checkpoint_ = *checkpoint;
  return upkeep;
}

void Upkeep::begins_at(Sequence first) {
  if (checkpoint_.position == Position()) checkpoint_.since = first;
}

Result<void> Upkeep::apply(const ParsedBatch& batch, Position through) {
  newly_parked_.clear();
  fold_.clear();
  set_.clear();
  // Records come in order of sequence: those that are in already stand in front.
  const std::uint64_t applied = checkpoint_.position.sequence().value();
  std::uint32_t first = 0;
  std::uint32_t last = batch.size();
  while (first < last) {
    const std::uint32_t middle = first + (last - first) / 2;
    if (batch.record(middle).sequence.value() <= applied) {
      first = middle + 1;
    } else {
      last = middle;
    }
  }
  if (through <= checkpoint_.position) return {};
  RETURN_IF_ERROR(stage_->run(batch, first, batch.size() - first, fold_));

  const Result<void> fetched = fetch_rows();
  if (!fetched) {
    cache_.clear();
    return fetched;
  }
  const auto groups = fold_.groups();
  const Result<void> looked_up = drop_known_members();
  if (!looked_up) {
    cache_.clear();
    return looked_up;
  }
  for (std::uint32_t i = 0; i < groups.size(); ++i) merge(i);

  Checkpoint checkpoint = checkpoint_;
  checkpoint.position = through;
  if (first < batch.size()) checkpoint.time = batch.record(batch.size() - 1).arrival;
  checkpoint.rows += static_cast<std::uint64_t>(std::count(existed_.begin(), existed_.end(), false));
  checkpoint.parked += fold_.parked().size();
  park(batch);
  set_.put(kCheckpointKey, encode_checkpoint(checkpoint));
  if (const Result<void> written = database_.write(*family_, set_); !written) {
    cache_.clear();  // its rows have the batch in them
    newly_parked_.clear();
    return written;
  }
  checkpoint_ = checkpoint;
  unflushed_bytes_ += set_.bytes();
  cache_.settle(groups.size());
  return {};
}

// Each group's row: resident, from the database, or new.
Result<void> Upkeep::fetch_rows() {
  const auto groups = fold_.groups();
  rows_.assign(groups.size(), nullptr);
  existed_.assign(groups.size(), true);
  std::vector<std::uint32_t> missing;
  std::vector<std::string> keys;
  for (std::uint32_t i = 0; i < groups.size(); ++i) {
    rows_[i] = cache_.find(groups[i].key);
    if (rows_[i] != nullptr) continue;
    missing.push_back(i);
    keys.push_back(row_key(groups[i].key));
  }
  const std::vector<std::string_view> views(keys.begin(), keys.end());
  std::vector<std::optional<std::string>> found;
  RETURN_IF_ERROR(database_.get(*family_, views, found));
  for (std::size_t i = 0; i < missing.size(); ++i) {
    const std::string_view key = groups[missing[i]].key;
    if (found[i]) {
      ASSIGN_OR_RETURN(auto row, layout_.decode(*found[i]));
      rows_[missing[i]] = &cache_.insert(key, std::move(row));
    } else {
      existed_[missing[i]] = false;
      rows_[missing[i]] = &cache_.insert(key, layout_.make());
    }
  }
  return {};
}

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
      if (!existed_[g] || layout_.aggregate(member.aggregate).members() != Members::set) continue;
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

void Upkeep::merge(std::uint32_t group) {
  const Fold::Group& g = fold_.groups()[group];
  RowState& row = *rows_[group];
  if (g.first_member != Fold::kNone) {
    room_.assign(layout_.size(), std::nullopt);
    std::string key;
    for (std::uint32_t m = g.first_member; m != Fold::kNone; m = fold_.member(m).next) {
      if (dropped_[m]) continue;
      const Fold::Member& member = fold_.member(m);
      const Aggregate& aggregate = layout_.aggregate(member.aggregate);
      if (aggregate.members() == Members::appended) {
        auto& room = room_[member.aggregate];
        if (!room) room = aggregate.room(row.state(member.aggregate));
        if (*room == 0) continue;
        --*room;
      }
      key = member_space(g.key, member.aggregate);
      key += member.key;
      set_.put(key, member.value);
    }
  }
  row.merge(g.state);
  value_.clear();
  row.encode(value_);
  set_.put(row_key(g.key), value_);
}

void Upkeep::park(const ParsedBatch& batch) {
  for (const Fold::Parked& parked : fold_.parked()) {
    const Record& record = batch.record(parked.record);
    ParkedRecord kept{parked.reason, std::string(record.key), std::string(record.data), record.arrival};
    set_.put(parked_key(record.sequence.value()), encode_parked(kept));
    newly_parked_.push_back({record.sequence.value(), record.hash, parked.reason});
  }
}

}  // namespace tidemill::views
