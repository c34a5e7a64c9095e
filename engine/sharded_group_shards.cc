#include "engine/cut.h"
#include "engine/lag.h"
#include "engine/sharded_group.h"
#include "storage/base/check.h"
#include "storage/base/logger.h"
#include "storage/seam/clock.h"
#include "storage/seam/executor.h"

// The shards' side: working off what was dealt, closing, and what the status shows.

namespace tidemill {

// All that is pending as one batch, as far as that is of a good size.
RecordBatch ShardedGroup::take_pending(Shard& shard) {
  RecordBatch batch = std::move(shard.pending.front());
  std::size_t taken = 1;
  for (; taken < shard.pending.size() && batch.records.size() < kBatchRecords; ++taken) {
    RecordBatch& more = shard.pending[taken];
    batch.records.insert(batch.records.end(), more.records.begin(), more.records.end());
    batch.blocks.insert(batch.blocks.end(), more.blocks.begin(), more.blocks.end());
    batch.lost.insert(batch.lost.end(), more.lost.begin(), more.lost.end());
    batch.next = more.next;
  }
  shard.pending.erase(shard.pending.begin(), shard.pending.begin() + static_cast<std::ptrdiff_t>(taken));
  return batch;
}

std::optional<WallTime> ShardedGroup::oldest_pending(const Shard& shard) {
  if (shard.held && !shard.held->records.empty()) return shard.held->records.front().arrival;
  for (const RecordBatch& piece : shard.pending)
    if (!piece.records.empty()) return piece.records.front().arrival;
  return std::nullopt;
}

void ShardedGroup::run_shard(std::size_t index) {
  std::optional<RecordBatch> done;  // let go outside the lock: it may be the last of what was dealt
  bool ticked = false;              // once a visit is enough
  int own_batches = 0;
  bool again = false;
  bool caught_up = false;
  bool well_again = false;
  bool last_one = false;
  bool has_drained = false;
  std::unique_lock lock(mutex_);
  Shard& shard = shards_[index];
  CHECK(shard.busy);
  for (;;) {
    const MonotonicTime now = env_.clock.monotonic();
    if (closing()) break;
    if (shard.retry.waiting(now)) {
      set_due(index, shard.retry.at);
      break;
    }
    const bool drain = shard.told >= shard.end && !shard.held && shard.pending.empty();
    const auto due = drain ? std::nullopt : shard.consumer->next_tick();
    const bool tick = !ticked && due && *due <= now;
    ticked = ticked || tick;
    const bool own = !tick && !drain && shard.by_itself;
    bool note = false;
    if (own) {
      if (shard.told >= dealt_next_) {  // from here on it is dealt its records again
        shard.by_itself = false;
        shard.dealt = Sequence(shard.told.value() - 1);
        caught_up = std::exchange(shard.left_behind, false);
        continue;
      }
      again = own_batches++ == kOwnBatchesPerRun;
      if (again) break;
    } else if (!tick && !drain && !shard.held) {
      note = shard.pending.empty() && shard.notes;
      if (shard.pending.empty() && !note) break;
      if (!note) shard.held = take_pending(shard);
    }
    lock.unlock();
    done.reset();
    const char* doing = tick    ? "tick of shard "
                        : drain ? "closing shard "
                        : note  ? "noting the position of shard "
                                : "applying to shard ";
    Result<void> worked;
    if (drain) {
      worked = shard.consumer->close();  // before a child begins, all of this is on disk
    } else if (own) {
      auto batch = read(shard.told, shard.range, kOwnBatchBytes);
      // The dealer may not know yet that it was closed.
      if (batch) cut(*batch, shard.told, stream_->shards().now().shown->find(shard.id)->last_sequence);
      if (!batch) doing = "reading for shard ";
      worked = batch ? shard.consumer->process(done.emplace(std::move(*batch))) : Result<void>(batch.error());
    } else {
      worked = tick   ? shard.consumer->tick()
               : note ? shard.consumer->note_position()
                      : shard.consumer->process(*shard.held);
    }
    const std::string error =
        worked ? std::string() : doing + std::to_string(shard.id.value()) + ": " + worked.error().message();
    if (!worked) failed(doing + std::to_string(shard.id.value()), worked.error());
    lock.lock();
    shard.error = error;
    if (own && done && !done->records.empty()) shard.oldest = done->records.front().arrival;
    if (!worked) {
      if (shard.retry.pause.count() == 0) ++failing_;
      shard.retry.failed(now);
      continue;
    }
    if (std::exchange(shard.retry, {}).pause.count() != 0 && --failing_ == 0) well_again = true;
    if (note) shard.notes = false;
    if (tick || note) continue;
    if (drain) {
      drained(shard);
      has_drained = true;
      break;
    }
    if (own) {
      shard.told = done->next;
      continue;
    }
    shard.pending_records -= shard.held->records.size();
    shard.told = shard.held->next;
    done = std::exchange(shard.held, std::nullopt);
  }
  if (again) {
    lock.unlock();
    if (well_again) succeeded();
    return post_shards({index});
  }
  const bool waits = shard.retry.waiting(env_.clock.monotonic());
  if (!closing() && !waits && !has_drained)
    if (const auto due = shard.consumer->next_tick()) set_due(index, *due);
  shard.busy = false;
  --busy_;
  last_one = closing() && busy_ == 0;
  const bool timed = !due_.empty();
  const MonotonicTime first = timed ? due_.top().first : MonotonicTime();
  lock.unlock();
  done.reset();
  if (well_again) succeeded();
  if (caught_up)
    env_.logger.info("a shard has caught up with its group", {{"group", text_of(qualified_name())},
                                                              {"stream", stream_->title()},
                                                              {"shard", std::to_string(shard.id.value())}});
  if (timed) wake_at(first);
  // The dealer may wait for the room that a failing shard takes.
  if (last_one || has_drained || (waits && in_flight_.load() >= kReadAheadBytes)) wake();
}

void ShardedGroup::run_closing() {
  std::size_t tasks = 0;
  {
    const std::lock_guard lock(mutex_);
    if (busy_ != 0 || close_started_) return;  // the last of them wakes
    close_started_ = true;
    tasks = (shards_.size() + kShardsPerTask - 1) / kShardsPerTask;
  }
  struct Closing {
    std::atomic<std::size_t> left;
    std::mutex mutex;
    Result<void> result;
  };
  const auto closing = std::make_shared<Closing>();
  closing->left = tasks;
  const auto self = std::static_pointer_cast<ShardedGroup>(shared_from_this());
  const auto close_some = [self, closing](std::size_t begin) {
    Result<void> result;
    const std::size_t end = std::min(begin + kShardsPerTask, self->shards_.size());
    for (std::size_t i = begin; i < end; ++i) {
      Shard& shard = self->shards_[i];  // nobody else is at it any more
      if (shard.consumer == nullptr) continue;
      Result<void> closed;
      const Sequence to = std::min(self->next_, shard.end);
      if (!shard.by_itself && !shard.held && shard.pending.empty() && shard.told < to &&
          shard.retry.pause.count() == 0) {
        RecordBatch nothing;
        nothing.next = to;
        closed = shard.consumer->process(nothing);
      }
      std::optional<RecordBatch> held;  // not applied; the next life reads it again
      std::vector<RecordBatch> pending;
      {
        const std::lock_guard lock(self->mutex_);
        held.swap(shard.held);
        pending.swap(shard.pending);
      }
      const auto ended = shard.consumer->close();
      if (closed) closed = ended;
      if (result) result = closed;
    }
    if (!result) {
      const std::lock_guard lock(closing->mutex);
      if (closing->result) closing->result = result;
    }
    if (closing->left.fetch_sub(1) != 1) return;
    result = self->consumer_->close();
    self->let_go();
    self->closed_with(closing->result ? result : closing->result);
  };
  for (std::size_t i = 0; i < tasks; ++i) env_.background.post([close_some, i] { close_some(i * kShardsPerTask); });
}

// Whoever closed the group may take apart what its consumers use, so they go first.
void ShardedGroup::let_go() {
  std::vector<std::unique_ptr<Consumer>> consumers;
  {
    const std::lock_guard lock(mutex_);
    gone_ = true;
    for (Shard& shard : shards_) consumers.push_back(std::move(shard.consumer));
  }
  consumers.clear();
  consumer_.reset();
}

void ShardedGroup::fill(GroupStatus& status) const {
  // Without the lock: this may read the log.
  const auto dealt = [this] {
    const std::lock_guard lock(mutex_);
    return dealt_next_;
  };
  const auto unread_seconds_now = lag_seconds(stream_->log(), env_.clock, dealt());
  const std::lock_guard lock(mutex_);
  const auto now = env_.clock.wall();
  const auto age = [&](WallTime t) { return std::max(0.0, std::chrono::duration<double>(now - t).count()); };
  const Sequence looked_at(dealt_next_.value() - 1);
  const std::uint64_t unread = status.durable > looked_at ? status.durable.value() - looked_at.value() : 0;
  const std::optional<double> unread_seconds = unread != 0 ? unread_seconds_now : 0;
  status.lag_records = unread;
  status.lag_seconds = unread_seconds;
  bool first = true;
  status.filed = filed_;
  for (const Shard& shard : shards_) {
    GroupShardStatus s;
    if (shard.drained || gone_) continue;
    s.shard = shard.id;
    s.applied = s.persisted = Position::through(Sequence(shard.first.value() - 1));
    if (shard.consumer != nullptr) {
      s.applied.advance_to(shard.consumer->applied());
      s.persisted.advance_to(shard.consumer->persisted());
      if (const auto filed = shard.consumer->filed()) {
        if (!status.filed) status.filed.emplace();
        status.filed->files += filed->files;
        status.filed->bytes += filed->bytes;
      }
    }
    // By itself: what is not its own counts as well, for nobody has looked.
    const std::uint64_t missing =
        shard.by_itself ? dealt_next_.value() - std::min(shard.told, dealt_next_).value() : shard.pending_records;
    s.lag_records = missing + unread;
    s.last_error = shard.error;
    // What was looked through and held nothing for this shard counts as applied, though not as persisted: a crash now
    // would lead it through there again.
    if (shard.pending_records == 0 && !shard.held && !shard.by_itself)
      s.applied.advance_to(Position::through(std::min(looked_at, Sequence(shard.end.value() - 1))));
    s.lag_seconds = unread_seconds;
    const auto oldest = shard.by_itself ? std::optional(shard.oldest) : oldest_pending(shard);
    if (oldest) s.lag_seconds = std::max(s.lag_seconds.value_or(0), age(*oldest));
    status.lag_records += missing;
    status.lag_seconds = std::max(status.lag_seconds, s.lag_seconds);  // nullopt is the least
    if (first || s.applied < status.applied) status.applied = s.applied;
    if (first || s.persisted < status.persisted) status.persisted = s.persisted;
    first = false;
    status.shards.push_back(s);
  }
}

}  // namespace tidemill
