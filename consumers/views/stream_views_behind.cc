// Views that are behind the others of their stream, and how they come to go with them.
#include <algorithm>

#include "consumers/views/stream_views.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/seam/clock.h"
#include "storage/seam/executor.h"

namespace tidemill::views {
namespace {

constexpr std::uint32_t kSliceRecords = 10'000;
constexpr auto kLookAgain = std::chrono::milliseconds(20);
constexpr std::uint64_t kLastRecords = 2'000;  // what is left when it joins; the others wait for these

Position before(Sequence next) {
  return Position::through(Sequence(next.value() - 1));
}

}  // namespace

void StreamViews::catch_up_later(std::shared_ptr<Kept> kept, std::shared_ptr<FieldSet> fields,
                                 std::chrono::nanoseconds pause) {
  const bool aside = kept->live->is_build() && options_.builds != nullptr;
  Executor& executor = aside ? *options_.builds : env_.background;
  auto work = [self = shared_from_this(), kept = std::move(kept), fields = std::move(fields)] {
    self->catch_up(kept, fields);
  };
  if (pause.count() == 0) return executor.post(std::move(work));
  executor.post_after(pause, std::move(work));
}

// One slice, beside the others.
void StreamViews::catch_up(std::shared_ptr<Kept> kept, std::shared_ptr<FieldSet> fields) {
  if (!kept->live->may_go_on()) {
    if (kept->live->dropped || closed_) return;
    if (!std::exchange(kept->waits, true))
      env_.logger.info("a view waits for those that it looks up", {{"view", kept->live->view->title()}});
    return catch_up_later(kept, fields, kLookAgain);
  }
  const MonotonicTime begin = env_.clock.monotonic();
  const auto worked = slice(*kept, *fields, Position::through(Sequence(applied_)));
  if (!worked) {
    env_.logger.error("a view cannot catch up",
                      {{"view", kept->live->view->title()}, {"cause", worked.error().message()}});
    return catch_up_later(kept, fields, std::chrono::seconds(1));
  }
  if (!*worked) return;
  const Position at = kept->live->applied();
  if (at.sequence().value() + kLastRecords >= applied_) {
    // By a thread that the others need not wait for.
    env_.background.post([self = shared_from_this(), kept, fields] { self->join(kept, fields); });
    return;
  }
  const MonotonicTime end = env_.clock.monotonic();
  catch_up_later(kept, fields,
                 kept->live->is_build() ? options_.pace->pause(end - begin, end) : std::chrono::nanoseconds(0));
}

// Reads and applies, not beyond `until`. false: it is left alone.
Result<bool> StreamViews::slice(Kept& kept, const FieldSet& fields, Position until) {
  ReadOptions options;
  options.records_max = kSliceRecords;
  options.historical = kept.live->is_build();
  const Sequence from = std::max(next(kept.live->applied().sequence()), stream_->log().start());
  ASSIGN_OR_RETURN(RecordBatch batch, stream_->log().read(from, options));
  if (before(batch.next) <= until) {
    report(batch);
  } else {
    std::erase_if(batch.records, [&](const Record& r) { return r.sequence > until.sequence(); });
  }
  ParsedBatch parsed(fields, shard_of());
  parsed.parse(batch.records);

  const std::lock_guard lock(kept.mutex);
  if (kept.live->dropped || closed_) return false;
  if (kept.unsettled) RETURN_IF_ERROR(settle(kept));
  RETURN_IF_ERROR(apply(kept, parsed, std::min(before(batch.next), until)));
  RETURN_IF_ERROR(flush_if_due(kept, false));
  return true;
}

// The last few records, while the others wait; then it goes with them.
void StreamViews::join(std::shared_ptr<Kept> kept, std::shared_ptr<FieldSet> fields) {
  const std::lock_guard lock(mutex_);
  if (kept->live->dropped || closed_) return;
  if (!kept->live->may_go_on()) return catch_up_later(kept, fields, kLookAgain);
  const Position end = Position::through(Sequence(applied_));
  if (kept->live->applied().sequence().value() + 2 * kLastRecords < end.sequence().value())
    return catch_up_later(kept, fields);
  Result<void> joined;
  while (joined && kept->upkeep->checkpoint().position < end) {
    const auto worked = slice(*kept, *fields, end);
    if (!worked) joined = worked.error();
  }
  if (joined) joined = go_with_others(kept);
  if (!joined) {
    env_.logger.error("a view cannot catch up",
                      {{"view", kept->live->view->title()}, {"cause", joined.error().message()}});
    return catch_up_later(kept, fields, std::chrono::seconds(1));
  }
  std::erase(behind_, kept);
  count_persisted();
  if (applied_.load() != 0)  // else there was nothing to catch up with
    env_.logger.info("a view has caught up",
                     {{"view", kept->live->view->title()}, {"sequence", std::to_string(applied_.load())}});
}

// From now on it is fed with the others: prepared once more, over the fields that they are parsed with.
Result<void> StreamViews::go_with_others(const std::shared_ptr<Kept>& kept) {
  auto upkeep = open_upkeep(*kept, fields_);
  if (auto* error = std::get_if<SqlError>(&upkeep)) {
    env_.logger.error("a view cannot go on", {{"view", kept->live->view->title()}, {"cause", error->message}});
    return make_error_code(StorageErrc::damaged);
  }
  kept->upkeep = std::move(std::get<0>(upkeep));
  RETURN_IF_ERROR(begin(*kept));
  live_.push_back(kept);  // behind those that it looks up
  kept->live->going = true;
  if (kept->joined) env_.background.post(kept->joined);
  return {};
}

void StreamViews::report(const RecordBatch& batch) {
  for (const LostRange& lost : batch.lost) {
    metrics_.lost_records.add(lost.last.value() - lost.first.value() + 1);
    env_.logger.error("views go on without records that are damaged in the log",
                      {{"stream", stream_->title()},
                       {"first", std::to_string(lost.first.value())},
                       {"last", std::to_string(lost.last.value())},
                       {"file", lost.file},
                       {"offset", std::to_string(lost.offset.value())}});
  }
}

}  // namespace tidemill::views
