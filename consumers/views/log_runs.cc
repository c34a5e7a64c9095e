#include "consumers/views/log_runs.h"

#include <algorithm>

namespace tidemill::views {
namespace {

constexpr std::uint64_t kGapMax = 16;
constexpr std::uint64_t kSpanMax = 1'024;

}  // namespace

std::vector<Run> runs_of(Run ascending, Sequence log_start) {
  const std::uint64_t start = log_start.value();
  std::vector<Run> runs;
  for (Run left = ascending; !left.empty(); left = left.subspan(runs.back().size())) {
    std::size_t n = 1;
    while (n < left.size() && left[n] - left[n - 1] <= kGapMax && left[n] - left[0] < kSpanMax &&
           (left[n - 1] < start) == (left[n] < start))
      ++n;
    runs.push_back(left.first(n));
  }
  return runs;
}

Result<void> read_run(Log& log, Run run, const std::function<Result<void>(std::span<const Record>)>& visit) {
  const Sequence last(run.back());
  for (Sequence from(run.front()); from <= last;) {
    ReadOptions options;
    options.records_max = static_cast<std::uint32_t>(last.value() - from.value() + 1);
    ASSIGN_OR_RETURN(RecordBatch batch, log.read(from, options));
    std::erase_if(batch.records, [&](const Record& record) {
      return !std::binary_search(run.begin(), run.end(), record.sequence.value());
    });
    if (!batch.records.empty()) RETURN_IF_ERROR(visit(batch.records));
    if (batch.next <= from) break;
    from = batch.next;
  }
  return {};
}

}  // namespace tidemill::views
