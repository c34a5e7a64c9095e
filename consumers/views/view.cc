#include "consumers/views/view.h"

#include <algorithm>

#include "consumers/views/cell.h"
#include "consumers/views/key.h"
#include "storage/base/errors.h"
#include "storage/base/text.h"

namespace tidemill::views {
namespace {

class StoredMembers final : public MemberSource {
 public:
  StoredMembers(const Snapshot& snapshot, const Family& family, std::string_view group_key)
      : snapshot_(snapshot), family_(family), group_key_(group_key) {}

  Result<void> visit(std::uint32_t aggregate, const MemberVisitor& visitor) const override {
    const std::string space = member_space(group_key_, aggregate);
    const auto cursor = snapshot_.cursor(family_, space, behind_prefix(space));
    for (; cursor->valid(); cursor->next()) {
      if (!visitor(cursor->key().substr(space.size()), cursor->value())) return {};
    }
    if (const ErrorCode error = cursor->error()) return error;
    return {};
  }

 private:
  const Snapshot& snapshot_;
  const Family& family_;
  const std::string_view group_key_;
};

}  // namespace

std::string encode_group_key(const Row& key) {
  std::string out;
  for (const Value& value : key) encode_key(canonical(to_cell(value)), out);
  return out;
}

Result<Checkpoint> View::checkpoint(const Snapshot& snapshot) const {
  ASSIGN_OR_RETURN(const auto bytes, snapshot.get(*family_, kCheckpointKey));
  if (!bytes) return Checkpoint{};
  const auto checkpoint = decode_checkpoint(*bytes);
  if (!checkpoint) return make_error_code(StorageErrc::damaged);
  return *checkpoint;
}

Result<std::optional<Row>> View::get(const Snapshot& snapshot, const Row& key) const {
  if (key.size() != definition_.groups.size()) return make_error_code(StorageErrc::invalid_argument);
  const std::string group_key = encode_group_key(key);
  ASSIGN_OR_RETURN(const auto value, snapshot.get(*family_, row_key(group_key)));
  if (!value) return std::optional<Row>();
  ASSIGN_OR_RETURN(auto reader, RowReader::open(*this, snapshot));
  if (reader.gone(*value)) return std::optional<Row>();
  Row row;
  RETURN_IF_ERROR(reader.show(group_key, *value, row));
  return std::optional<Row>(std::move(row));
}

Result<void> View::show(const Row& key, const RowState& state, const MemberSource& members, Row& out) const {
  ASSIGN_OR_RETURN(auto stage, take_stage());
  const Result<void> shown = stage->run(key, state, members, stage->select(layout_, {}), out);
  give_back(std::move(stage));
  return shown;
}

std::pair<std::string, std::string> View::bounds(const RangeOptions& options) const {
  std::string lower;
  std::string upper;
  const auto raise = [&](std::string bound) { lower = std::max(lower, std::move(bound)); };
  const auto lower_to = [&](std::string bound) {
    if (!bound.empty() && (upper.empty() || bound < upper)) upper = std::move(bound);
  };
  if (options.prefix) {
    std::string prefix;
    encode_key_prefix(*options.prefix, prefix);
    raise(prefix);
    lower_to(behind_prefix(prefix));
  }
  if (options.from) raise(encode_group_key(*options.from));
  if (options.to) lower_to(encode_group_key(*options.to));
  return {std::move(lower), std::move(upper)};
}

Result<RangeResult> View::range(const Snapshot& snapshot, const RangeOptions& options) const {
  auto [lower, upper] = bounds(options);
  if (!options.cursor.empty()) {
    const std::string ours = to_hex(id_);
    const auto after = from_hex(std::string_view(options.cursor).substr(std::min(ours.size(), options.cursor.size())));
    if (!options.cursor.starts_with(ours) || !after || after->empty())
      return make_error_code(StorageErrc::invalid_argument);
    lower = std::max(lower, *after + '\0');
  }
  const std::string from = row_key(lower);
  const std::string to = upper.empty() ? std::string(1, kRowSpace + 1) : row_key(upper);

  RangeResult result;
  if (from >= to) return result;
  ASSIGN_OR_RETURN(auto reader, RowReader::open(*this, snapshot));
  const auto cursor = snapshot.cursor(*family_, from, to);
  std::string last;
  for (; cursor->valid(); cursor->next()) {
    if (reader.gone(cursor->value())) continue;
    if (result.rows.size() == options.limit) {
      result.cursor = to_hex(id_) + to_hex(last);
      break;
    }
    const std::string_view group_key = cursor->key().substr(1);
    RETURN_IF_ERROR(reader.show(group_key, cursor->value(), result.rows.emplace_back()));
    last = group_key;
  }
  if (const ErrorCode error = cursor->error()) return error;
  return result;
}

Result<QuarantineResult> View::quarantine(const Snapshot& snapshot, Sequence from, std::uint32_t limit) const {
  constexpr std::uint64_t kBytesMax = 8 << 20;  // of one answer; at least one record all the same
  QuarantineResult result;
  std::uint64_t bytes = 0;
  const auto cursor = snapshot.cursor(*family_, parked_key(from.value()), std::string(1, kParkedSpace + 1));
  for (; cursor->valid(); cursor->next()) {
    const auto sequence = parked_sequence(cursor->key());
    auto parked = decode_parked(cursor->value());
    if (!sequence || !parked) return make_error_code(StorageErrc::damaged);
    bytes += cursor->value().size();
    if (result.records.size() == limit || (!result.records.empty() && bytes > kBytesMax)) {
      result.next = *sequence;
      break;
    }
    result.records.push_back(
        {*sequence, parked->time, std::move(parked->key), std::move(parked->data), std::move(parked->reason)});
  }
  if (const ErrorCode error = cursor->error()) return error;
  return result;
}

Result<RowReader> RowReader::open(const View& view, const Snapshot& snapshot, std::span<const bool> wanted) {
  ASSIGN_OR_RETURN(auto stage, view.take_stage());
  WallTime now{};
  if (view.layout().expiry() != nullptr) {
    ASSIGN_OR_RETURN(const Checkpoint checkpoint, view.checkpoint(snapshot));
    if (checkpoint.expiry) now = checkpoint.expiry->stream_time;
  }
  auto selection = stage->select(view.layout(), wanted);
  return RowReader(view, snapshot, std::move(stage), std::move(selection), now);
}

RowReader::~RowReader() {
  if (stage_) view_->give_back(std::move(stage_));
}

Result<void> RowReader::show(std::string_view group_key, std::string_view value, Row& out) {
  if (selection_.groups) {
    key_.clear();
    if (!decode_key(group_key, view_->definition().groups.size(), key_)) return make_error_code(StorageErrc::damaged);
  }
  RETURN_IF_ERROR(view_->layout().decode(value, selection_.aggregates_end, state_));
  return stage_->run(key_, state_, StoredMembers(*snapshot_, *view_->family(), group_key), selection_, out);
}

Result<std::unique_ptr<FinalStage>> View::take_stage() const {
  {
    const std::lock_guard lock(mutex_);
    if (!stages_.empty()) {
      auto stage = std::move(stages_.back());
      stages_.pop_back();
      return stage;
    }
  }
  auto made = FinalStage::prepare(definition_);
  if (std::holds_alternative<SqlError>(made)) return make_error_code(StorageErrc::invalid_argument);
  return std::move(std::get<0>(made));
}

void View::give_back(std::unique_ptr<FinalStage> stage) const {
  const std::lock_guard lock(mutex_);
  if (stages_.size() < 8) stages_.push_back(std::move(stage));
}

}  // namespace tidemill::views
