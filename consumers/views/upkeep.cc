#include "consumers/views/upkeep.h"

#include <algorithm>

#include "consumers/views/key.h"
#include "consumers/views/lineage.h"
#include "consumers/views/sample_sink.h"
#include "storage/base/check.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"

namespace tidemill::views {
namespace {

// How many keys of rows that have gone a batch removes: more than it can bring, or they would never be all gone.
constexpr std::uint64_t kSweep = 2'000;
constexpr std::uint64_t kSweepARecord = 3;

}  // namespace

Upkeep::Upkeep(Env& env, const Definition& definition, Database& database, std::shared_ptr<Family> family,
               std::uint64_t cache_bytes, Deciding deciding, LookedUp lookups)
    : env_(env),
      database_(database),
      definition_(definition),
      family_(std::move(family)),
      layout_(definition),
      deciding_(std::move(deciding)),
      lookups_(std::move(lookups)),
      fold_(layout_),
      cache_(cache_bytes) {}

SqlResult<std::unique_ptr<Upkeep>> Upkeep::open(Env& env, const Definition& definition, Database& database,
                                                std::shared_ptr<Family> family, FieldSet& fields,
                                                std::uint64_t cache_bytes, Deciding deciding, LookedUp lookups) {
  std::unique_ptr<Upkeep> upkeep(
      new Upkeep(env, definition, database, std::move(family), cache_bytes, std::move(deciding), std::move(lookups)));
  auto stage = RowStage::prepare(definition, fields, upkeep->lookups_);
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
  if (!definition.lineage) {
    upkeep->checkpoint_.lineage.reset();
  } else if (!checkpoint->lineage) {
    upkeep->lineage_begins_at(next(checkpoint->position.sequence()));
  }
  if (definition.expiry) {
    if (!checkpoint->expiry) upkeep->checkpoint_.expiry.emplace();
    upkeep->expiry_ = std::make_unique<RowExpiry>(database, *upkeep->family_, upkeep->layout_,
                                                  upkeep->checkpoint_.expiry->stream_time);
  }
  return upkeep;
}

void Upkeep::keep_only(std::function<bool(std::string_view)> sample) {
  sample_ = std::make_unique<SampleSink>(fold_, std::move(sample));
}

Result<void> Upkeep::begins_at(Sequence first) {
  if (checkpoint_.position != Position() || first == Sequence(1)) return {};
  Checkpoint checkpoint = checkpoint_;
  checkpoint.since = first;
  checkpoint.position = Position::through(Sequence(first.value() - 1));
  set_.clear();
  set_.put(kCheckpointKey, encode_checkpoint(checkpoint));
  RETURN_IF_ERROR(database_.write(*family_, set_));
  checkpoint_ = checkpoint;
  return {};
}

void Upkeep::lineage_begins_at(std::optional<Sequence> first) {
  if (!definition_.lineage || (checkpoint_.lineage && !lineage_begins_)) return;
  lineage_begins_ = true;
  if (!first || *first > checkpoint_.position.sequence()) checkpoint_.lineage = first;
}

Result<void> Upkeep::apply(const ParsedBatch& batch, Position through) {
  RETURN_IF_ERROR(prepare(batch, through));
  if (!next_) return {};
  Result<void> done = database_.write(*family_, set_);
  written(done.has_value());
  return done;
}

std::optional<Database::FamilyWrite> Upkeep::to_write() const {
  if (!next_) return std::nullopt;
  return Database::FamilyWrite{family_.get(), &set_};
}

void Upkeep::written(bool done) {
  if (!next_) return;
  if (expiry_) expiry_->written(done);
  if (done) {
    const bool moved = next_->position != checkpoint_.position;
    checkpoint_ = *next_;
    lineage_begins_ = false;
    if (changes_ && changes_->wanted()) add_to_changes(moved);
    unflushed_bytes_ += set_.bytes();
    cache_.settle(fold_.groups().size());
  } else {
    forget_rows();  // those that are resident have the batch in them
    newly_parked_.clear();
  }
  next_.reset();
}

void Upkeep::add_to_changes(bool moved) {
  std::string keys;
  for (const Fold::Group& group : fold_.groups()) Changes::append(keys, group.key);
  if (expiry_)
    for (const std::string& key : expiry_->swept()) Changes::append(keys, key);
  const std::int64_t time = checkpoint_.expiry ? checkpoint_.expiry->stream_time.time_since_epoch().count() : 0;
  changes_->add({checkpoint_.position, time, moved}, std::move(keys));
}

Result<void> Upkeep::prepare(const ParsedBatch& batch, Position through) {
  next_.reset();
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
  if (expiry_) fold_.times(expiry_->times(batch, first, checkpoint_.expiry->stream_time));
  RETURN_IF_ERROR(run_stage(batch, first));

  Checkpoint checkpoint = checkpoint_;
  const auto fetch_and_merge = [&]() -> Result<void> {
    RETURN_IF_ERROR(fetch_rows());
    if (expiry_) RETURN_IF_ERROR(begin_gone_rows_anew());
    RETURN_IF_ERROR(drop_known_members());
    const auto groups = fold_.groups();
    for (std::uint32_t i = 0; i < groups.size(); ++i) {
      if (groups[i].first_member != Fold::kNone) RETURN_IF_ERROR(put_members(i));
      if (groups[i].first_record != Fold::kNone) RETURN_IF_ERROR(add_lineage(i, false));
      merge(i);
    }
    if (expiry_) RETURN_IF_ERROR(sweep(batch.size() - first, checkpoint));
    return {};
  };
  if (const Result<void> merged = fetch_and_merge(); !merged) {
    forget_rows();
    return merged;
  }
  checkpoint.position = through;
  if (first < batch.size()) checkpoint.time = batch.record(batch.size() - 1).arrival;
  checkpoint.rows += static_cast<std::uint64_t>(std::count(existed_.begin(), existed_.end(), false));
  checkpoint.parked += park(batch);
  set_.put(kCheckpointKey, encode_checkpoint(checkpoint));
  next_ = checkpoint;
  return {};
}

// One for all records of a batch; nullptr where nothing is looked up.
std::shared_ptr<const Snapshot> Upkeep::seen() const {
  return lookups_.empty() || look_in_ ? look_in_ : database_.snapshot();
}

// Records that something is decided about go their own way, in their place.
Result<void> Upkeep::run_stage(const ParsedBatch& batch, std::uint32_t first) {
  const auto seen = this->seen();
  if (seen) stage_->look_in(*seen);
  const std::uint32_t end = batch.size();
  const bool decided =
      first < end && deciding_.decisions && batch.record(first).sequence <= deciding_.decisions->last();
  if (!decided) return stage_->run(batch, first, end - first, sink());
  const auto here = deciding_.decisions->within(batch.record(first).sequence, batch.record(end - 1).sequence);
  for (const Decided& d : here) {
    std::uint32_t at = first;
    while (at < end && batch.record(at).sequence < d.sequence) ++at;
    if (at == end || batch.record(at).sequence != d.sequence) continue;  // lost
    RETURN_IF_ERROR(stage_->run(batch, first, at - first, sink()));
    first = at + 1;
    if (d.decision.kind == Decision::Kind::skip) continue;
    if (d.decision.kind == Decision::Kind::edit) {
      Record edited = batch.record(at);
      edited.data = d.decision.data;
      edited.content = ContentType::json;
      if (expiry_) fold_.at_time(expiry_->time_at(at));
      ASSIGN_OR_RETURN(const bool counted, count_alone(edited, seen.get()));
      if (counted) continue;
    }
    RETURN_IF_ERROR(stage_->run(batch, at, 1, sink()));
  }
  return stage_->run(batch, first, end - first, sink());
}

// A row that had gone when its next record came has nothing in common with what came since.
Result<void> Upkeep::begin_gone_rows_anew() {
  const auto groups = fold_.groups();
  deadline_.assign(groups.size(), 0);
  anew_.assign(groups.size(), false);
  for (std::uint32_t i = 0; i < groups.size(); ++i) {
    if (!existed_[i]) continue;
    deadline_[i] = rows_[i]->header().deadline;
    if (groups[i].ended == 0 && deadline_[i] > groups[i].first_time) continue;
    anew_[i] = true;
    *rows_[i] = layout_.make();
    RETURN_IF_ERROR(expiry_->remove_below(groups[i].key, set_));
  }
  return {};
}

// What goes with time: rows that ended within the batch, and the bytes of those that are due.
Result<void> Upkeep::sweep(std::uint64_t records, Checkpoint& checkpoint) {
  ExpiryState& state = *checkpoint.expiry;
  const auto groups = fold_.groups();
  for (std::uint32_t i = 0; i < groups.size(); ++i) {
    const Fold::Group& g = groups[i];
    state.expired += g.ended + (anew_[i] && deadline_[i] <= g.first_time ? 1 : 0);
  }
  ASSIGN_OR_RETURN(const std::uint64_t swept, expiry_->sweep(kSweep + kSweepARecord * records, fold_, cache_, set_));
  state.expired += swept;
  state.late += fold_.late();
  state.stream_time = expiry_->now();
  checkpoint.rows -= swept;
  return {};
}

Result<void> Upkeep::tidy() {
  next_.reset();
  newly_parked_.clear();
  fold_.clear();
  set_.clear();
  if (!untidy()) return {};
  expiry_->begin(checkpoint_.expiry->stream_time);
  Checkpoint checkpoint = checkpoint_;
  RETURN_IF_ERROR(sweep(0, checkpoint));
  set_.put(kCheckpointKey, encode_checkpoint(checkpoint));
  next_ = checkpoint;
  const Result<void> done = database_.write(*family_, set_);
  written(done.has_value());
  return done;
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

void Upkeep::merge(std::uint32_t group) {
  const Fold::Group& g = fold_.groups()[group];
  RowState& row = *rows_[group];
  row.merge(g.state);
  if (expiry_) {
    const std::int64_t deadline = row.header().deadline;
    existed_[group] ? expiry_->move(g.key, deadline_[group], deadline, set_) : expiry_->place(g.key, deadline, set_);
  }
  value_.clear();
  row.encode(value_);
  set_.put(row_key(g.key), value_);
}

// Before the row has them. Those that come in their turn are behind all that are in it.
Result<void> Upkeep::add_lineage(std::uint32_t group, bool late) {
  if (!checkpoint_.lineage) return {};
  const Fold::Group& g = fold_.groups()[group];
  RowState& row = *rows_[group];
  const std::uint64_t begins = checkpoint_.lineage->value();
  std::uint64_t last = row.header().last;
  sequences_.clear();
  for (std::uint32_t i = g.first_record; i != Fold::kNone; i = fold_.record(i).next) {
    const std::uint64_t sequence = fold_.record(i).sequence;
    if (sequence < begins) continue;
    if (late) {
      sequences_.push_back(sequence);
      continue;
    }
    add_in_turn(row.recent(), g.key, last, sequence, set_);
    last = sequence;
  }
  if (!late) return {};
  return add_late(database_, *family_, g.key, row.recent(), last, sequences_, set_);
}

std::uint64_t Upkeep::park(const ParsedBatch& batch) {
  std::uint64_t parked_here = 0;
  for (const Fold::Parked& parked : fold_.parked()) {
    if (parked.record >= kAlone) continue;  // an edit that was tried in vain: the record itself came after it
    ++parked_here;
    const Record& record = batch.record(parked.record);
    ParkedRecord kept{parked.reason, std::string(record.key), std::string(record.data), record.arrival};
    set_.put(parked_key(record.sequence.value()), encode_parked(kept));
    newly_parked_.push_back({record.sequence.value(), record.hash, parked.reason});
  }
  return parked_here;
}

}  // namespace tidemill::views
