#include "engine/sharded_group.h"
#include "storage/base/check.h"
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

void ShardedGroup::run_shard(std::size_t index) {
  std::optional<RecordBatch> done;  // let go outside the lock: it may be the last of what was dealt
  bool ticked = false;              // once a visit is enough
  bool well_again = false;
  bool last_one = false;
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
    const auto due = shard.consumer->next_tick();
    const bool tick = !ticked && due && *due <= now;
    ticked = ticked || tick;
    if (!tick && !shard.held) {
      if (shard.pending.empty()) break;
      shard.held = take_pending(shard);
    }
    lock.unlock();
    done.reset();
    auto worked = tick ? shard.consumer->tick() : shard.consumer->process(*shard.held);
    if (!worked)
      failed((tick ? "tick of shard " : "applying to shard ") + std::to_string(shard.id.value()), worked.error());
    lock.lock();
    if (!worked) {
      if (shard.retry.pause.count() == 0) ++failing_;
      shard.retry.failed(now);
      continue;
    }
    if (std::exchange(shard.retry, {}).pause.count() != 0 && --failing_ == 0) well_again = true;
    if (tick) continue;
    shard.pending_records -= shard.held->records.size();
    shard.told = shard.held->next;
    done = std::exchange(shard.held, std::nullopt);
  }
  if (!closing() && !shard.retry.waiting(env_.clock.monotonic()))
    if (const auto due = shard.consumer->next_tick()) set_due(index, *due);
  shard.busy = false;
  --busy_;
  last_one = closing() && busy_ == 0;
  const bool timed = !due_.empty();
  const MonotonicTime first = timed ? due_.top().first : MonotonicTime();
  lock.unlock();
  done.reset();
  if (well_again) succeeded();
  if (timed) wake_at(first);
  if (last_one) wake();
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
      Result<void> closed;
      if (!shard.held && shard.pending.empty() && shard.told < self->next_ && shard.retry.pause.count() == 0) {
        RecordBatch nothing;
        nothing.next = self->next_;
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
    for (Shard& shard : shards_) consumers.push_back(std::move(shard.consumer));
  }
  consumers.clear();
  consumer_.reset();
}

void ShardedGroup::fill(GroupStatus& status) const {
  const std::lock_guard lock(mutex_);
  const auto now = env_.clock.wall();
  const auto age = [&](WallTime t) { return std::max(0.0, std::chrono::duration<double>(now - t).count()); };
  const Sequence looked_at(dealt_next_.value() - 1);
  const std::uint64_t unread = status.durable > looked_at ? status.durable.value() - looked_at.value() : 0;
  const auto behind = unread != 0 ? behind_since() : std::nullopt;
  status.lag_records = unread;
  if (behind) status.lag_seconds = age(*behind);
  bool first = true;
  for (const Shard& shard : shards_) {
    GroupShardStatus s;
    if (shard.consumer == nullptr) continue;  // closed
    s.shard = shard.id;
    s.applied = shard.consumer->applied();
    s.persisted = shard.consumer->persisted();
    if (const auto filed = shard.consumer->filed()) {
      if (!status.filed) status.filed.emplace();
      status.filed->files += filed->files;
      status.filed->bytes += filed->bytes;
    }
    s.lag_records = shard.pending_records + unread;
    // What was looked through and held nothing for this shard counts as applied, and as persisted where nothing is
    // waiting to be.
    if (shard.pending_records == 0 && !shard.held) {
      if (s.persisted == s.applied) s.persisted.advance_to(Position::through(looked_at));
      s.applied.advance_to(Position::through(looked_at));
    }
    if (behind) s.lag_seconds = age(*behind);
    const auto oldest = [&]() -> std::optional<WallTime> {
      if (shard.held && !shard.held->records.empty()) return shard.held->records.front().arrival;
      for (const RecordBatch& piece : shard.pending)
        if (!piece.records.empty()) return piece.records.front().arrival;
      return std::nullopt;
    }();
    if (oldest) s.lag_seconds = std::max(s.lag_seconds, age(*oldest));
    status.lag_records += shard.pending_records;
    status.lag_seconds = std::max(status.lag_seconds, s.lag_seconds);
    if (first || s.applied < status.applied) status.applied = s.applied;
    if (first || s.persisted < status.persisted) status.persisted = s.persisted;
    first = false;
    status.shards.push_back(s);
  }
}

}  // namespace tidemill
