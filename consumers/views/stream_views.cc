#include "consumers/views/stream_views.h"

#include <algorithm>

#include "consumers/views/overlay.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/seam/clock.h"
#include "storage/seam/executor.h"

namespace tidemill::views {
namespace {

constexpr std::uint64_t kFlushRecords = 100'000;  // replayed in about a second
constexpr std::uint64_t kFlushBytes = 32 << 20;
constexpr auto kTick = std::chrono::seconds(1);
constexpr auto kTidyTick = std::chrono::milliseconds(20);  // between two pieces of what goes with time
constexpr std::uint64_t kShownAhead = 262'144;             // about a second of applying, and one flush

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

StreamViews::StreamViews(Env& env, Database& database, std::shared_ptr<Stream> stream, Options options)
    : env_(env), database_(database), stream_(std::move(stream)), options_(std::move(options)) {}

// Where nothing is in it yet: it has all that it does not count.
Result<void> StreamViews::begin(Kept& kept) const {
  const Log& log = stream_->log();
  RETURN_IF_ERROR(kept.upkeep->begins_at(std::clamp(kept.live->from, log.start(), next(log.durable()))));
  // What was decided, and had not been written when the power went, or is about what a base has.
  const std::uint64_t counted = counted_late(*kept.live);
  RETURN_IF_ERROR(kept.upkeep->settle());
  kept.live->settled = counted;
  return {};
}

SqlResult<std::unique_ptr<Upkeep>> StreamViews::open_upkeep(const Kept& kept, FieldSet& fields) const {
  auto opened = Upkeep::open(env_, kept.live->view->definition(), database_, kept.live->view->family(), fields,
                             options_.cache_bytes, {kept.live->decisions, shard_of()}, kept.live->looked_up());
  if (auto* upkeep = std::get_if<std::unique_ptr<Upkeep>>(&opened)) (*upkeep)->tell(kept.live->changes);
  return opened;
}

SqlResult<bool> StreamViews::add(std::shared_ptr<LiveView> view, std::function<void()> joined) {
  const std::lock_guard lock(mutex_);
  auto kept = std::make_shared<Kept>();
  kept->live = view;
  kept->joined = std::move(joined);
  // Its own set of fields as long as it is alone; the common one once it has joined.
  auto fields = std::make_shared<FieldSet>();
  auto upkeep = open_upkeep(*kept, *fields);
  if (auto* error = std::get_if<SqlError>(&upkeep)) return *error;
  kept->upkeep = std::move(std::get<0>(upkeep));
  if (const Result<void> begun = begin(*kept); !begun)
    return SqlError{"not_stored", "The view's rows cannot be stored: " + begun.error().message() + "."};
  const Checkpoint checkpoint = kept->upkeep->checkpoint();
  view->since = checkpoint.since.value();
  view->lineage = checkpoint.lineage ? checkpoint.lineage->value() : 0;
  show_counts(*kept);
  see_persisted(*kept);
  view->waiters->reached(checkpoint.position);
  behind_.push_back(kept);
  if (opened_) catch_up_later(kept, fields);
  return true;
}

void StreamViews::remove(const LiveView& view) {
  std::shared_ptr<Kept> gone;
  {
    const std::lock_guard lock(mutex_);
    gone = leave(view);
    count_persisted();
  }
  if (gone) const std::lock_guard slice(gone->mutex);
}

std::shared_ptr<StreamViews::Kept> StreamViews::leave(const LiveView& view) {
  std::shared_ptr<Kept> gone;
  const auto is_it = [&](const std::shared_ptr<Kept>& kept) {
    if (kept->live.get() != &view) return false;
    kept->live->dropped = true;
    kept->live->changes->tell();
    gone = kept;
    return true;
  };
  std::erase_if(live_, is_it);
  std::erase_if(behind_, is_it);
  return gone;
}

bool StreamViews::replace(const LiveView& old, const LiveView& fresh, const std::function<void()>& show) {
  std::shared_ptr<Kept> gone;
  {
    const std::lock_guard lock(mutex_);
    const bool joined = std::any_of(live_.begin(), live_.end(), [&](const auto& k) { return k->live.get() == &fresh; });
    if (!joined || closed_) return false;
    show();
    gone = leave(old);
    count_persisted();
    old.waiters->pass_on(fresh.waiters);
  }
  if (gone) const std::lock_guard slice(gone->mutex);
  return true;
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
  for (const auto& kept : behind_) {
    foremost.advance_to(kept->upkeep->checkpoint().position);
    shown_before_.advance_to(kept->live->shown_before);
  }
  if (const auto noted = stream_->log().noted(kShownNote)) may_show_ = Position::through(*noted);
  applied_ = number(foremost);
  auto behind = std::move(behind_);
  behind_.clear();
  for (auto& kept : behind) {
    if (kept->upkeep->checkpoint().position == foremost && kept->live->lookups.empty()) {
      RETURN_IF_ERROR(go_with_others(kept));
      continue;
    }
    auto fields = std::make_shared<FieldSet>();
    auto upkeep = open_upkeep(*kept, *fields);
    if (std::holds_alternative<SqlError>(upkeep)) return make_error_code(StorageErrc::damaged);
    kept->upkeep = std::move(std::get<0>(upkeep));
    RETURN_IF_ERROR(begin(*kept));
    behind_.push_back(kept);
    catch_up_later(kept, fields);
  }
  count_persisted();
  return foremost;
}

void StreamViews::parse(const RecordBatch& batch) {
  if (!parsed_ || parsed_fields_ != fields_.size()) {
    parsed_fields_ = fields_.size();
    parsed_ = std::make_unique<ParsedBatch>(fields_, shard_of());
  }
  parsed_->parse(batch.records);
}

Result<void> StreamViews::process(const RecordBatch& batch) {
  const std::lock_guard lock(mutex_);
  const MonotonicTime begin = env_.clock.monotonic();
  const Position through = before(batch.next);
  report(batch);
  for (const auto& kept : live_) {
    if (kept->unsettled) RETURN_IF_ERROR(settle(*kept));
  }
  parse(batch);
  RETURN_IF_ERROR(allow(through));
  RETURN_IF_ERROR(apply_all(through));
  applied_ = number(through);

  metrics_.batches.add();
  metrics_.records.add(batch.records.size());
  const auto spent = env_.clock.monotonic() - begin;
  metrics_.batch_us.observe(static_cast<std::uint64_t>(std::max<std::int64_t>(0, spent.count() / 1000)));
  if (!batch.records.empty()) {
    const WallTime now = env_.clock.wall();
    options_.pace->served(now - batch.records.front().arrival, env_.clock.monotonic());
    const auto age = now - batch.records.back().arrival;
    metrics_.visible_us.observe(static_cast<std::uint64_t>(std::max<std::int64_t>(0, age.count())) * 1000);
  }
  for (const auto& kept : live_) RETURN_IF_ERROR(flush_if_due(*kept, false));
  count_persisted();
  return {};
}

// A row once shown is never shown older, after a crash either. So how far readers may see is on disk before they see
// it: some way ahead, or each batch would cost a flush.
Result<void> StreamViews::allow(Position through) {
  if (through <= may_show_) return {};
  const Position ahead = std::max(position(number(through) + kShownAhead), shown_before_);
  RETURN_IF_ERROR(stream_->log().note_durably(kShownNote, ahead.sequence()));
  may_show_ = ahead;
  return {};
}

// In one write: whoever reads several of these views sees them at the same record.
Result<void> StreamViews::apply_all(Position through) {
  const auto prepare_and_write = [&]() -> Result<void> {
    std::vector<Database::FamilyWrite> writes;
    std::shared_ptr<const Snapshot> stored;
    for (const auto& kept : live_) {
      if (!kept->live->lookups.empty()) {
        if (!stored) stored = database_.snapshot();
        kept->upkeep->look_in(look_in(*kept, stored));
      }
      const Result<void> prepared = kept->upkeep->prepare(*parsed_, through);
      kept->upkeep->look_in(nullptr);
      RETURN_IF_ERROR(prepared);
      if (const auto write = kept->upkeep->to_write()) writes.push_back(*write);
    }
    if (writes.empty()) return {};
    return database_.write(writes);
  };
  const Result<void> done = prepare_and_write();
  for (const auto& kept : live_) kept->upkeep->written(done.has_value());
  RETURN_IF_ERROR(done);
  for (const auto& kept : live_) show(*kept);
  return {};
}

// What is stored, and what this batch makes of the views of this stream that it looks up, which came before it.
std::shared_ptr<const Snapshot> StreamViews::look_in(const Kept& kept,
                                                     const std::shared_ptr<const Snapshot>& stored) const {
  std::shared_ptr<const Snapshot> out = stored;
  for (const auto& k : live_) {
    const bool is_one = std::any_of(kept.live->lookups.begin(), kept.live->lookups.end(),
                                    [&](const auto& l) { return l.get() == k->live.get(); });
    const auto write = is_one ? k->upkeep->to_write() : std::nullopt;
    if (write) out = std::make_shared<Overlay>(std::move(out), *write->family, *write->set);
  }
  return out;
}

Result<void> StreamViews::apply(Kept& kept, const ParsedBatch& parsed, Position through) {
  RETURN_IF_ERROR(kept.upkeep->apply(parsed, through));
  show(kept);
  return {};
}

void StreamViews::show(Kept& kept) {
  for (const auto& parked : kept.upkeep->newly_parked()) {
    env_.logger.warning("a view parked a record",
                        {{"view", kept.live->view->title()},
                         {"stream", stream_->title()},
                         {"shard", std::to_string(stream_->shard_of(parked.hash, Sequence(parked.sequence)).value())},
                         {"sequence", std::to_string(parked.sequence)},
                         {"cause", parked.reason}});
  }
  show_counts(kept);
  kept.live->waiters->reached(kept.upkeep->checkpoint().position);
  kept.live->changes->tell();
}

void StreamViews::show_counts(Kept& kept) {
  const Checkpoint& checkpoint = kept.upkeep->checkpoint();
  kept.live->rows = checkpoint.rows;
  kept.live->parked = checkpoint.parked;
  kept.live->applied_time_ms = checkpoint.time.time_since_epoch().count();
  if (!checkpoint.expiry) return;
  kept.live->stream_time_ms = checkpoint.expiry->stream_time.time_since_epoch().count();
  kept.live->expired = checkpoint.expiry->expired;
  kept.live->late = checkpoint.expiry->late;
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

Result<void> StreamViews::begin_flush() {
  const std::lock_guard lock(mutex_);
  if (closed_) return {};
  for (const auto& kept : live_) {
    kept->flushing = kept->upkeep->checkpoint().position;
    kept->upkeep->flushed();
    RETURN_IF_ERROR(database_.flush(*kept->upkeep->family(), false));
  }
  return {};
}

void StreamViews::see_persisted(Kept& kept) {
  const auto bytes = database_.get_persisted(*kept.upkeep->family(), kCheckpointKey);
  if (!bytes || !*bytes) return;
  if (const auto checkpoint = decode_checkpoint(**bytes)) kept.live->persisted = number(checkpoint->position);
}

// Of those that go together: what is being built holds nobody up.
void StreamViews::count_persisted() {
  std::uint64_t least = applied_;
  for (const auto& k : live_) least = std::min<std::uint64_t>(least, k->live->persisted);
  persisted_ = least;
}

std::optional<MonotonicTime> StreamViews::next_tick() {
  const std::lock_guard lock(mutex_);
  std::optional<std::chrono::nanoseconds> pause;
  for (const auto& kept : live_) {
    if (!pause && kept->unsettled) pause = kTick;
    if (!pause && kept->live->persisted < applied_ && number(kept->flushing) > kept->live->persisted) pause = kTick;
    if (kept->upkeep->untidy()) pause = kTidyTick;
  }
  if (!pause) tick_at_.reset();
  if (!pause) return std::nullopt;
  // Asked again, it says the same until then, or it would never come.
  const MonotonicTime at = env_.clock.monotonic() + *pause;
  if (!tick_at_ || at < *tick_at_) tick_at_ = at;
  return tick_at_;
}

Result<void> StreamViews::tick() {
  const std::lock_guard lock(mutex_);
  tick_at_.reset();
  for (const auto& kept : live_) {
    if (kept->unsettled) RETURN_IF_ERROR(settle(*kept));
    see_persisted(*kept);
    if (!kept->upkeep->untidy()) continue;
    RETURN_IF_ERROR(kept->upkeep->tidy());
    show_counts(*kept);
    kept->live->changes->tell();
  }
  count_persisted();
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
  for (const auto& kept : behind_) {
    const std::lock_guard slice(kept->mutex);
    RETURN_IF_ERROR(flush_if_due(*kept, true));
  }
  count_persisted();
  // With the log's close, which follows: the next start waits for no more than was shown.
  if (opened_) stream_->log().note(kShownNote, std::max(position(applied_), shown_before_).sequence());
  return {};
}

}  // namespace tidemill::views
