#include "consumers/views/why.h"

#include <algorithm>

#include "consumers/views/lineage.h"
#include "consumers/views/log_runs.h"
#include "storage/base/errors.h"

namespace tidemill::views {
namespace {

constexpr std::uint64_t kBytesMax = 8 << 20;

constexpr char kGone[] = "Retention has removed the record from the log.";
constexpr char kLost[] = "The record cannot be read: its place in the log is damaged.";
constexpr char kEdited[] = "The record could not be counted, and a decision edited it: it counts as `edited`.";

// The records of these sequences, in their order, as far as they go into one answer.
class Reading {
 public:
  Reading(const Stream& stream, const Decisions* decisions, WhyResult& out)
      : stream_(stream), decisions_(decisions), out_(out) {}

  Result<void> read(std::vector<std::uint64_t> ascending, bool backwards) {
    std::vector<Run> runs = runs_of(ascending, stream_.log().start());
    if (backwards) std::reverse(runs.begin(), runs.end());
    for (const Run run : runs) {
      RETURN_IF_ERROR(read_some(run));
      for (std::size_t i = 0; i < run.size(); ++i) {
        WhyRecord& record = run_[backwards ? run.size() - 1 - i : i];
        bytes_ += record.data.size() + (record.edited ? record.edited->size() : 0);
        if (bytes_ > kBytesMax && !out_.records.empty()) {
          out_.next = record.sequence;
          return {};
        }
        out_.records.push_back(std::move(record));
      }
    }
    return {};
  }

 private:
  Result<void> read_some(Run run) {
    run_.clear();
    for (const std::uint64_t s : run) {
      run_.emplace_back().sequence = Sequence(s);
      run_.back().missing = kLost;
    }
    const auto read = read_run(stream_.log(), run, [&](std::span<const Record> records) -> Result<void> {
      for (const Record& record : records) {
        const auto at = std::lower_bound(run_.begin(), run_.end(), record.sequence,
                                         [](const WhyRecord& r, Sequence s) { return r.sequence < s; });
        fill(*at, record);
      }
      return {};
    });
    if (!read && read.error() != StorageErrc::before_start) return read;
    for (WhyRecord& r : run_)
      if (!read && r.missing == kLost) r.missing = kGone;
    if (decisions_ == nullptr) return {};
    for (const Decided& d : decisions_->within(run_.front().sequence, run_.back().sequence)) {
      const auto at = std::lower_bound(run_.begin(), run_.end(), d.sequence,
                                       [](const WhyRecord& r, Sequence s) { return r.sequence < s; });
      if (at == run_.end() || at->sequence != d.sequence || d.decision.kind != Decision::Kind::edit) continue;
      at->edited = d.decision.data;
      at->data.clear();
      at->missing = kEdited;
    }
    return {};
  }

  void fill(WhyRecord& out, const Record& record) const {
    out.time = record.arrival;
    out.shard = stream_.shard_of(record.hash, record.sequence);
    out.key = record.key;
    out.data = record.data;
    out.content = record.content;
    out.missing.clear();
  }

  const Stream& stream_;
  const Decisions* decisions_;
  WhyResult& out_;
  std::vector<WhyRecord> run_;
  std::uint64_t bytes_ = 0;
};

}  // namespace

Result<std::optional<WhyResult>> why(const View& view, const Snapshot& snapshot, const Stream& stream,
                                     const Decisions* decisions, const Row& key, const WhyOptions& options) {
  ASSIGN_OR_RETURN(auto row, view.get(snapshot, key));
  if (!row) return std::optional<WhyResult>();
  const std::string group_key = encode_group_key(key);
  ASSIGN_OR_RETURN(const auto value, snapshot.get(*view.family(), row_key(group_key)));
  if (!value) return std::optional<WhyResult>();
  ASSIGN_OR_RETURN(const RowState state, view.layout().decode(*value));
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, view.checkpoint(snapshot));
  WhyResult out;
  out.row = std::move(*row);
  out.first = Sequence(state.header().first);
  out.last = Sequence(state.header().last);
  out.count = state.header().count;
  if (!view.definition().lineage) return std::optional<WhyResult>(std::move(out));
  // Nothing has come since a version without.
  out.lineage = checkpoint.lineage.value_or(next(checkpoint.position.sequence()));
  const LineageFrom from{options.from.value(), options.backwards, options.limit};
  ASSIGN_OR_RETURN(auto page, read_lineage(snapshot, *view.family(), group_key, state, from));
  if (page.next) out.next = Sequence(*page.next);
  if (options.backwards) std::reverse(page.sequences.begin(), page.sequences.end());
  RETURN_IF_ERROR(Reading(stream, decisions, out).read(std::move(page.sequences), options.backwards));
  return std::optional<WhyResult>(std::move(out));
}

}  // namespace tidemill::views
