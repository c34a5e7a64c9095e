// Records that leave quarantine: counted, or left out, after those that came behind them, with the same bytes as if it
// had been in their turn. Rows do not mind the order (state.h); of what is kept below them, what is already there is
// looked at.
#include <algorithm>

#include "consumers/views/upkeep.h"
#include "engine/stream.h"
#include "storage/base/errors.h"

namespace tidemill::views {
namespace {

constexpr std::size_t kAtOnce = 32;  // a record has up to a megabyte
// Which row it would have been in depends on what came before and after: late is not the same as in its turn.
constexpr char kGoWithTime[] =
    "rows of this view go with time, so a record cannot be counted after those that came behind it. Send it again, "
    "corrected, and skip this one";

// Numbers them apart from the batch's.
class AloneSink final : public RowSink {
 public:
  AloneSink(RowSink& next, std::uint32_t number) : next_(next), number_(number) {}
  bool takes(std::uint32_t, std::span<const Cell> groups, std::span<const Cell> arguments) override {
    return next_.takes(number_, groups, arguments);
  }
  void row(std::uint32_t, Order order, std::span<const Cell> groups, std::span<const Cell> arguments) override {
    next_.row(number_, order, groups, arguments);
  }
  void failed(std::uint32_t, std::string_view reason) override { next_.failed(number_, reason); }

 private:
  RowSink& next_;
  const std::uint32_t number_;
};

}  // namespace

// Into the fold. false: it cannot be counted, and nothing of it is; the fold's last parked one says why.
Result<bool> Upkeep::count_alone(const Record& record, const Snapshot* seen) {
  if (!alone_) {
    auto alone = std::make_unique<Alone>();
    FieldSet fields;
    auto stage = RowStage::prepare(definition_, fields, lookups_);
    // It has been prepared before: only memory can be short.
    if (std::holds_alternative<SqlError>(stage)) return ErrorCode(ENOMEM, boost::system::generic_category());
    alone->stage = std::move(std::get<0>(stage));
    alone->parsed = std::make_unique<ParsedBatch>(std::move(fields), deciding_.shard_of);
    alone_ = std::move(alone);
  }
  alone_->parsed->parse({&record, 1});
  if (seen != nullptr) alone_->stage->look_in(*seen);
  const std::size_t before = fold_.parked().size();
  AloneSink numbered(sink(), kAlone);
  RETURN_IF_ERROR(alone_->stage->run(*alone_->parsed, numbered));
  return fold_.parked().size() == before;
}

Result<void> Upkeep::settle() {
  if (!deciding_.decisions) return {};
  const Sequence in = checkpoint_.position.sequence();
  for (Sequence from(1); from <= std::min(in, deciding_.decisions->last());) {
    const auto some = deciding_.decisions->some(from, kAtOnce);
    if (some.empty()) break;
    from = next(some.back().sequence);
    RETURN_IF_ERROR(settle(some));
  }
  return {};
}

// Each record in one write: its rows, and it leaves quarantine.
Result<void> Upkeep::settle(std::span<const Decided> decided) {
  while (!decided.empty()) {
    const auto some = decided.first(std::min(decided.size(), kAtOnce));
    decided = decided.subspan(some.size());
    RETURN_IF_ERROR(prepare_settling(some));
    if (!next_) continue;
    const Result<void> done = database_.write(*family_, set_);
    written(done.has_value());
    RETURN_IF_ERROR(done);
  }
  return {};
}

Result<Upkeep::Settling> Upkeep::prepare_settling(std::span<const Decided> decided) {
  next_.reset();
  newly_parked_.clear();
  fold_.clear();
  set_.clear();
  if (expiry_) expiry_->begin(checkpoint_.expiry->stream_time);
  std::vector<std::string> keys;
  for (const Decided& d : decided) keys.push_back(parked_key(d.sequence.value()));
  const std::vector<std::string_view> views(keys.begin(), keys.end());
  std::vector<std::optional<std::string>> found;
  RETURN_IF_ERROR(database_.get(*family_, views, found));

  const auto seen = this->seen();
  Settling out;
  for (std::size_t i = 0; i < decided.size(); ++i) {
    if (!found[i]) continue;
    const Decision& decision = decided[i].decision;
    if (decision.kind != Decision::Kind::skip && expiry_) {
      out.not_counted.push_back({decided[i].sequence, kGoWithTime});
      continue;
    }
    if (decision.kind != Decision::Kind::skip) {
      const auto parked = decode_parked(*found[i]);
      if (!parked) return make_error_code(StorageErrc::damaged);
      Record record;
      record.sequence = decided[i].sequence;
      record.hash = hash_key(parked->key);  // records with a hash of their own do not come in yet, nor do bytes
      record.arrival = parked->time;
      record.key = parked->key;
      record.data = decision.kind == Decision::Kind::edit ? decision.data : parked->data;
      ASSIGN_OR_RETURN(bool counted, count_alone(record, seen.get()));
      if (!counted) out.not_counted.push_back({record.sequence, fold_.parked().back().reason});
      if (!counted && decision.kind == Decision::Kind::edit) {
        record.data = parked->data;
        ASSIGN_OR_RETURN(counted, count_alone(record, seen.get()));
        if (counted) out.not_counted.pop_back();
      }
      if (!counted) continue;
    }
    out.done.push_back(decided[i].sequence);
    set_.remove(keys[i]);
  }
  if (out.done.empty()) return out;

  const auto merge_all = [&]() -> Result<void> {
    RETURN_IF_ERROR(fetch_rows());
    RETURN_IF_ERROR(drop_known_members());
    const auto groups = fold_.groups();
    for (std::uint32_t i = 0; i < groups.size(); ++i) {
      if (groups[i].first_member != Fold::kNone) RETURN_IF_ERROR(put_members_late(i));
      if (groups[i].first_record != Fold::kNone) RETURN_IF_ERROR(add_lineage(i, true));
      merge(i);
      out.group_keys.emplace_back(groups[i].key);
    }
    return {};
  };
  if (const Result<void> merged = merge_all(); !merged) {
    forget_rows();
    return merged.error();
  }
  Checkpoint checkpoint = checkpoint_;
  checkpoint.rows += static_cast<std::uint64_t>(std::count(existed_.begin(), existed_.end(), false));
  checkpoint.parked -= std::min<std::uint64_t>(checkpoint.parked, out.done.size());
  set_.put(kCheckpointKey, encode_checkpoint(checkpoint));
  next_ = checkpoint;
  return out;
}

// Only its own rows have it in them: the others stay resident.
void Upkeep::forget() {
  if (!next_) return;
  for (const Fold::Group& group : fold_.groups()) cache_.erase(group.key);
  lowest_.clear();
  next_.reset();
}

}  // namespace tidemill::views
