#include "consumers/views/stream_views.h"

#include <algorithm>

#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/seam/clock.h"
#include "storage/seam/executor.h"

namespace tidemill::views {
namespace {

constexpr std::uint64_t kFlushRecords = 100'000;  // replayed in about a second
constexpr std::uint64_t kFlushBytes = 32 << 20;
constexpr std::uint32_t kSliceRecords = 10'000;  // of a view that catches up: the others wait this long at most
constexpr auto kTick = std::chrono::seconds(1);
constexpr std::uint32_t kShownSlot = 0;  // of the log's notes

std::uint64_t number(Position p) {
  return p.sequence().value();
}
Position position(std::uint64_t n) {
  return Position::through(Sequence(n));
}
Position before(Sequence next) {
  return position(next.value() - 1);
}

}  // namespace

StreamViews::StreamViews(Env& env, Database& database, std::shared_ptr<Stream> stream, std::uint64_t cache_bytes)
    : env_(env), database_(database), stream_(std::move(stream)), cache_bytes_(cache_bytes) {}

SqlResult<bool> StreamViews::add(std::shared_ptr<LiveView> view) {
  const std::lock_guard lock(mutex_);
  auto kept = std::make_shared<Kept>();
  kept->live = view;
  // Its own set of fields as long as it is alone; the common one once it has joined.
  auto fields = std::make_shared<FieldSet>();
  auto upkeep = Upkeep::open(env_, view->view->definition(), database_, view->view->family(), *fields, cache_bytes_);
  if (auto* error = std::get_if<SqlError>(&upkeep)) return *error;
  kept->upkeep = std::move(std::get<0>(upkeep));
  kept->upkeep->begins_at(stream_->log().start());
  const Checkpoint checkpoint = kept->upkeep->checkpoint();
  view->since = checkpoint.since.value();
  view->rows = checkpoint.rows;
  view->parked = checkpoint.parked;
  view->applied_time_ms = checkpoint.time.time_since_epoch().count();
  see_persisted(*kept);
  view->waiters->reached(checkpoint.position);
  behind_.push_back(kept);
  if (opened_) start_catching_up(kept, fields);
  return true;
}

void StreamViews::remove(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto is_it = [&](const std::shared_ptr<Kept>& kept) {
    if (kept->live->view->name() != name) return false;
    kept->live->dropped = true;
    return true;
  };
  std::erase_if(live_, is_it);
  std::erase_if(behind_, is_it);
}

bool StreamViews::empty() const {
  const std::lock_guard lock(mutex_);
  return live_.empty() && behind_.empty();
}

// The group starts where the foremost view is; the others catch up with it.
Result<Position> StreamViews::open() {
  const std::lock_guard lock(mutex_);
  opened_ = true;
  Position foremost = before(stream_->log().start());
  for (const auto& kept : behind_) foremost.advance_to(kept->upkeep->checkpoint().position);
  applied_ = number(foremost);
  auto behind = std::move(behind_);
  behind_.clear();
  for (auto& kept : behind) {
    auto fields = std::make_shared<FieldSet>();
    // Prepared once more over the set that it will be parsed with.
    auto& target = kept->upkeep->checkpoint().position == foremost ? fields_ : *fields;
    auto upkeep =
        Upkeep::open(env_, kept->live->view->definition(), database_, kept->live->view->family(), target, cache_bytes_);
    if (std::holds_alternative<SqlError>(upkeep)) return make_error_code(StorageErrc::damaged);
    kept->upkeep = std::move(std::get<0>(upkeep));
    kept->upkeep->begins_at(Sequence(kept->live->since));
    if (&target == &fields_) {
      live_.push_back(kept);
    } else {
      behind_.push_back(kept);
      start_catching_up(kept, fields);
    }
  }
  persisted_ = number(foremost);
  for (const auto& kept : live_) persisted_ = std::min<std::uint64_t>(persisted_, kept->live->persisted);
  return foremost;
}

void StreamViews::parse(const RecordBatch& batch) {
  if (!parsed_ || parsed_fields_ != fields_.size()) {
    parsed_fields_ = fields_.size();
    parsed_ = std::make_unique<ParsedBatch>(
        fields_, [stream = stream_](HashKey h, Sequence s) { return stream->shard_of(h, s); });
  }
  parsed_->parse(batch.records);
}

Result<void> StreamViews::process(const RecordBatch& batch) {
  const std::lock_guard lock(mutex_);
  const MonotonicTime begin = env_.clock.monotonic();
  const Position through = before(batch.next);
  report(batch);
  parse(batch);
  for (const auto& kept : live_) RETURN_IF_ERROR(apply(*kept, *parsed_, through));
  applied_ = number(through);
  stream_->log().note(kShownSlot, through.sequence());

  metrics_.batches.add();
  metrics_.records.add(batch.records.size());
  const auto spent = env_.clock.monotonic() - begin;
  metrics_.batch_us.observe(static_cast<std::uint64_t>(std::max<std::int64_t>(0, spent.count() / 1000)));
  if (!batch.records.empty()) {
    const auto age = env_.clock.wall() - batch.records.back().arrival;
    metrics_.visible_us.observe(static_cast<std::uint64_t>(std::max<std::int64_t>(0, age.count())) * 1000);
  }
  for (const auto& kept : live_) RETURN_IF_ERROR(flush_if_due(*kept, false));
  return {};
}

Result<void> StreamViews::apply(Kept& kept, const ParsedBatch& parsed, Position through) {
  RETURN_IF_ERROR(kept.upkeep->apply(parsed, through));
  const Checkpoint& checkpoint = kept.upkeep->checkpoint();
  for (const auto& parked : kept.upkeep->newly_parked()) {
    env_.logger.warning("a view parked a record",
                        {{"view", kept.live->view->name()},
                         {"stream", stream_->name()},
                         {"shard", std::to_string(stream_->shard_of(parked.hash, Sequence(parked.sequence)).value())},
                         {"sequence", std::to_string(parked.sequence)},
                         {"cause", parked.reason}});
  }
  kept.live->rows = checkpoint.rows;
  kept.live->parked = checkpoint.parked;
  kept.live->applied_time_ms = checkpoint.time.time_since_epoch().count();
  kept.live->waiters->reached(checkpoint.position);
  return {};
}

void StreamViews::report(const RecordBatch& batch) {
  for (const LostRange& lost : batch.lost) {
    metrics_.lost_records.add(lost.last.value() - lost.first.value() + 1);
    env_.logger.error("views go on without records that are damaged in the log",
                      {{"stream", stream_->name()},
                       {"first", std::to_string(lost.first.value())},
                       {"last", std::to_string(lost.last.value())},
                       {"file", lost.file},
                       {"offset", std::to_string(lost.offset.value())}});
  }
}

// ---- what is on disk

Result<void> StreamViews::flush_if_due(Kept& kept, bool all) {
  const auto due = [&] {
    const std::uint64_t behind = number(kept.upkeep->checkpoint().position) - kept.live->persisted;
    if (all) return behind > 0;
    return behind >= kFlushRecords || kept.upkeep->bytes_since_flush() >= kFlushBytes;
  };
  // Asking costs a read, so only while a flush is under way, or to see whether RocksDB has flushed by itself.
  const bool under_way = number(kept.flushing) > kept.live->persisted;
  if (!under_way && !due()) return {};
  see_persisted(kept);
  if (!due() || (!all && number(kept.flushing) > kept.live->persisted)) return {};
  kept.flushing = kept.upkeep->checkpoint().position;
  kept.upkeep->flushed();
  RETURN_IF_ERROR(database_.flush(*kept.upkeep->family(), all));
  if (all) see_persisted(kept);
  return {};
}

void StreamViews::see_persisted(Kept& kept) {
  const auto bytes = database_.get_persisted(*kept.upkeep->family(), kCheckpointKey);
  if (!bytes || !*bytes) return;
  if (const auto checkpoint = decode_checkpoint(**bytes)) kept.live->persisted = number(checkpoint->position);
  std::uint64_t least = applied_;
  for (const auto& k : live_) least = std::min<std::uint64_t>(least, k->live->persisted);
  persisted_ = least;
}

std::optional<MonotonicTime> StreamViews::next_tick() {
  const std::lock_guard lock(mutex_);
  for (const auto& kept : live_) {
    if (kept->live->persisted < applied_ && number(kept->flushing) > kept->live->persisted) {
      return env_.clock.monotonic() + kTick;
    }
  }
  return std::nullopt;
}

Result<void> StreamViews::tick() {
  const std::lock_guard lock(mutex_);
  for (const auto& kept : live_) see_persisted(*kept);
  return {};
}

Position StreamViews::applied() const {
  return position(applied_);
}
Position StreamViews::persisted() const {
  return position(persisted_);
}

Result<void> StreamViews::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  for (const auto& kept : live_) RETURN_IF_ERROR(flush_if_due(*kept, true));
  for (const auto& kept : behind_) RETURN_IF_ERROR(flush_if_due(*kept, true));
  return {};
}

// ---- catching up

void StreamViews::start_catching_up(std::shared_ptr<Kept> kept, std::shared_ptr<FieldSet> fields) {
  env_.background.post([self = shared_from_this(), kept = std::move(kept), fields = std::move(fields)] {
    self->catch_up(kept, fields);
  });
}

// One slice. The log is read without the lock; applied with it, so that a dropped view is left alone.
void StreamViews::catch_up(std::shared_ptr<Kept> kept, std::shared_ptr<FieldSet> fields) {
  ReadOptions options;
  options.records_max = kSliceRecords;
  Sequence from = next(kept->upkeep->checkpoint().position.sequence());
  from = std::max(from, stream_->log().start());
  auto batch = stream_->log().read(from, options);
  const auto again = [&](std::chrono::milliseconds pause) {
    env_.background.post_after(pause, [self = shared_from_this(), kept, fields] { self->catch_up(kept, fields); });
  };
  if (!batch) {
    env_.logger.error("a view cannot catch up",
                      {{"view", kept->live->view->name()}, {"cause", batch.error().message()}});
    return again(std::chrono::seconds(1));
  }
  ParsedBatch parsed(*fields, [stream = stream_](HashKey h, Sequence s) { return stream->shard_of(h, s); });
  parsed.parse(batch->records);

  const std::lock_guard lock(mutex_);
  if (kept->live->dropped || closed_) return;
  // Not beyond the others: from there on they go together.
  const Position through = std::min(before(batch->next), position(applied_));
  Result<void> applied;
  if (before(batch->next) <= position(applied_)) {
    report(*batch);
    applied = apply(*kept, parsed, through);
  } else {
    RecordBatch cut = std::move(*batch);
    std::erase_if(cut.records, [&](const Record& r) { return r.sequence > through.sequence(); });
    parsed.parse(cut.records);
    applied = apply(*kept, parsed, through);
  }
  if (applied) applied = flush_if_due(*kept, false);
  if (!applied) {
    env_.logger.error("a view cannot catch up",
                      {{"view", kept->live->view->name()}, {"cause", applied.error().message()}});
    return again(std::chrono::seconds(1));
  }
  if (kept->upkeep->checkpoint().position < position(applied_)) return again(std::chrono::milliseconds(0));

  // It has reached the others: from now on it is fed with them.
  auto upkeep =
      Upkeep::open(env_, kept->live->view->definition(), database_, kept->live->view->family(), fields_, cache_bytes_);
  if (auto* error = std::get_if<SqlError>(&upkeep)) {
    env_.logger.error("a view cannot go on", {{"view", kept->live->view->name()}, {"cause", error->message}});
    return again(std::chrono::seconds(1));
  }
  kept->upkeep = std::move(std::get<0>(upkeep));
  kept->upkeep->begins_at(Sequence(kept->live->since));
  std::erase(behind_, kept);
  live_.push_back(kept);
  if (applied_.load() != 0)  // else there was nothing to catch up with
    env_.logger.info("a view has caught up",
                     {{"view", kept->live->view->name()}, {"sequence", std::to_string(applied_.load())}});
}

}  // namespace tidemill::views
