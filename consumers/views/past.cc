#include "consumers/views/past.h"

#include <algorithm>

#include "consumers/views/folded_rows.h"
#include "consumers/views/key.h"
#include "consumers/views/lineage.h"
#include "consumers/views/log_runs.h"
#include "consumers/views/sample_sink.h"
#include "storage/base/errors.h"

namespace tidemill::views {
namespace {

// What one answer may cost: a record that lies alone costs a read of the log.
constexpr std::uint32_t kRecordsMax = 10'000;
constexpr std::uint64_t kBytesMax = 64u << 20;

PastRefusal refuse(std::string code, std::string message) {
  return {std::move(code), std::move(message), std::nullopt};
}

// Which views cannot tell, whatever the row.
std::optional<PastRefusal> refuse_view(const Definition& definition) {
  if (!definition.deterministic)
    return refuse("not_supported",
                  "The view looks up other views. What its records found there when they were counted is not kept, so "
                  "no row of before can be made again. Ask a view without lookups.");
  if (definition.expiry)
    return refuse("not_supported",
                  "Rows of this view go with time, and which of its records a row of before had depends on when it had "
                  "gone. Ask a view without ttl or window.");
  if (!definition.lineage) return refuse("no_lineage", "");
  return std::nullopt;
}

PastRefusal too_long() {
  return refuse("history_too_long", "Up to `at` the row has more than 10,000 records, or more than 64 MiB of them.");
}

// The records of one row, folded as the view's upkeep folds them: decisions count in a record's own place.
class Again {
 public:
  Again(const View& view, const Stream& stream, const Decisions* decisions, std::string_view group_key)
      : stream_(stream),
        decisions_(decisions),
        fold_(view.layout()),
        only_(fold_, [group_key](std::string_view key) { return key == group_key; }),
        rows_(view.layout()) {}

  // The definition was prepared before: only memory can be short.
  Result<void> begin(const Definition& definition) {
    FieldSet fields;
    auto stage = RowStage::prepare(definition, fields);
    if (std::holds_alternative<SqlError>(stage)) return ErrorCode(ENOMEM, boost::system::generic_category());
    stage_ = std::move(std::get<0>(stage));
    parsed_ = std::make_unique<ParsedBatch>(std::move(fields),
                                            [&s = stream_](HashKey h, Sequence at) { return s.shard_of(h, at); });
    return {};
  }

  Result<void> add(std::span<const Record> records) {
    for (const Record& record : records) bytes_ += record.data.size();
    if (decisions_ == nullptr) return fold(records);
    for (const Decided& d : decisions_->within(records.front().sequence, records.back().sequence)) {
      if (d.decision.kind != Decision::Kind::edit) continue;  // tried again, it counts as it came
      const auto at = std::lower_bound(records.begin(), records.end(), d.sequence,
                                       [](const Record& r, Sequence s) { return r.sequence < s; });
      if (at == records.end() || at->sequence != d.sequence) continue;
      const auto before = static_cast<std::size_t>(at - records.begin());
      RETURN_IF_ERROR(fold(records.first(before)));
      Record edited = *at;
      edited.data = d.decision.data;
      edited.content = ContentType::json;
      bytes_ += edited.data.size();
      RETURN_IF_ERROR(fold({&edited, 1}));
      // As the upkeep does with an edit that a later definition cannot count.
      if (!fold_.parked().empty()) RETURN_IF_ERROR(fold({&*at, 1}));
      records = records.subspan(before + 1);
    }
    return fold(records);
  }

  std::uint64_t bytes() const { return bytes_; }
  FoldedRows& rows() { return rows_; }

 private:
  Result<void> fold(std::span<const Record> records) {
    if (records.empty()) return {};
    parsed_->parse(records);
    fold_.clear();
    RETURN_IF_ERROR(stage_->run(*parsed_, only_));
    rows_.take(fold_);
    return {};
  }

  const Stream& stream_;
  const Decisions* decisions_;
  Fold fold_;
  SampleSink only_;
  FoldedRows rows_;
  std::unique_ptr<RowStage> stage_;
  std::unique_ptr<ParsedBatch> parsed_;
  std::uint64_t bytes_ = 0;
};

}  // namespace

Result<PastRow> row_at(const View& view, const Snapshot& snapshot, const Stream& stream, const Decisions* decisions,
                       const Row& key, Sequence at, Clock& clock, const PastLimits& limits) {
  if (key.size() != view.definition().groups.size()) return make_error_code(StorageErrc::invalid_argument);
  if (auto refused = refuse_view(view.definition())) return PastRow(std::move(*refused));
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, view.checkpoint(snapshot));
  if (next(at) < checkpoint.since)
    return PastRow(PastRefusal{"history_gone",
                               "The view counts records from sequence " + std::to_string(checkpoint.since.value()) +
                                   " on, and `at` is sequence " + std::to_string(at.value()) + ".",
                               checkpoint.since});
  const std::string group_key = encode_group_key(key);
  ASSIGN_OR_RETURN(const auto stored, snapshot.get(*view.family(), row_key(group_key)));
  if (!stored) return PastRow(std::nullopt);
  ASSIGN_OR_RETURN(const RowState state, view.layout().decode(*stored));
  const RowHeader& header = state.header();
  if (at.value() < header.first) return PastRow(std::nullopt);
  if (at.value() >= header.last) {
    ASSIGN_OR_RETURN(auto row, view.get(snapshot, key));
    return PastRow(std::move(row));
  }

  // Between its first and its last record: all of them must be known, and there to be read.
  const std::string known_from = ": it can be told from sequence " + std::to_string(header.last) + " on.";
  const std::uint64_t lineage = checkpoint.lineage.value_or(next(checkpoint.position.sequence())).value();
  if (header.first < lineage)
    return PastRow(PastRefusal{"history_gone",
                               "Which of the records before sequence " + std::to_string(lineage) +
                                   " are in the row is not known, for a version without lineage kept the view" +
                                   known_from + " ALTER VIEW with WITH (lineage = true) builds the view anew.",
                               Sequence(header.last)});
  const auto gone = [&] {
    return PastRow(
        PastRefusal{"history_gone",
                    "Retention has removed some of the row's records from the log, which begins at sequence " +
                        std::to_string(stream.log().start().value()) + known_from,
                    Sequence(header.last)});
  };
  if (header.first < stream.log().start().value()) return gone();
  ASSIGN_OR_RETURN(auto page, read_lineage(snapshot, *view.family(), group_key, state, {.limit = kRecordsMax + 1}));
  auto& records = page.sequences;
  records.erase(std::upper_bound(records.begin(), records.end(), at.value()), records.end());
  if (records.size() > kRecordsMax) return PastRow(too_long());
  if (records.empty()) return make_error_code(StorageErrc::damaged);

  Again again(view, stream, decisions, group_key);
  RETURN_IF_ERROR(again.begin(view.definition()));
  for (const Run run : runs_of(records, stream.log().start())) {
    if (limits.cancelled && limits.cancelled()) return PastRow(refuse("cancelled", ""));
    if (clock.monotonic() >= limits.until) return PastRow(refuse("sql_timeout", ""));
    const auto read = read_run(stream.log(), run, [&](std::span<const Record> some) { return again.add(some); });
    if (!read && read.error() == StorageErrc::before_start) return gone();
    RETURN_IF_ERROR(read);
    if (again.bytes() > kBytesMax) return PastRow(too_long());
  }
  // Records that are damaged in the log, and whatever else does not add up: rather no row than a wrong one.
  const RowState* row = again.rows().find(group_key);
  if (row == nullptr || row->header().count != records.size() || row->header().first != header.first ||
      row->header().last != records.back())
    return make_error_code(StorageErrc::damaged);
  Row terms, out;  // the key as it is stored: 1 where 1.0 was asked for
  if (!decode_key(group_key, key.size(), terms)) return make_error_code(StorageErrc::damaged);
  RETURN_IF_ERROR(view.show(terms, *row, again.rows(), out));
  return PastRow(std::optional<Row>(std::move(out)));
}

}  // namespace tidemill::views
