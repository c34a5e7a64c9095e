#include "engine/sharded_group.h"

#include <algorithm>

#include "storage/base/check.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/seam/clock.h"
#include "storage/seam/executor.h"

// The dealer's side: reading, sorting by shard, handing out, and the one timer. sharded_group_change.cc has its share
// in splits and merges.

namespace tidemill {

void ShardedGroup::run_open() {
  const MonotonicTime now = env_.clock.monotonic();
  wake_due(now);
  follow();
  end_closed();
  open_children(now);
  if (read_retry_.waiting(now)) return wake_at(read_retry_.at);
  const auto more = deal();
  if (!more) {
    {
      const std::lock_guard lock(mutex_);
      if (read_retry_.pause.count() == 0) ++failing_;
    }
    read_retry_.failed(now);
    failed("reading", more.error());
    return wake_at(read_retry_.at);
  }
  if (std::exchange(read_retry_, {}).pause.count() != 0) {
    bool well = false;
    {
      const std::lock_guard lock(mutex_);
      well = --failing_ == 0;
    }
    if (well) succeeded();
  }
  const bool notes = is_to_note();
  if (notes || now - told_idle_ >= kTellIdleEvery) tell_idle(now, notes);
  if (*more) wake();
}

// Reads one batch and hands it out. False: nothing to read, or no room to hold it (then give_back() wakes).
Result<bool> ShardedGroup::deal() {
  if (in_flight_.load() >= kReadAheadBytes && !(drop_failing() && in_flight_.load() < kReadAheadBytes)) return false;
  // A log that ends before a checkpoint lost its end, or is another: its new records would be taken for old ones.
  if (most_ > stream_->log().durable()) return StorageErrc::beyond_end;
  ASSIGN_OR_RETURN(RecordBatch batch, read(next_));
  if (batch.next == next_) return false;
  follow();  // after reading: whatever was changed since begins behind this batch

  std::uint64_t bytes = 0;
  std::vector<std::size_t> touched;
  for (const Record& record : batch.records) {
    bytes += sizeof(Record) + record.key.size() + record.headers.size() + record.data.size();
    const std::size_t index = index_of_[table_->shard_of(record.hash, record.sequence).value()];
    if (sorted_[index].empty()) touched.push_back(index);
    sorted_[index].push_back(record);
  }
  // What was lost may have been anybody's.
  if (!batch.lost.empty()) {
    touched.resize(shards_.size());
    for (std::size_t i = 0; i < touched.size(); ++i) touched[i] = i;
  }
  next_ = batch.next;
  in_flight_.fetch_add(bytes);
  const auto dealt = std::make_shared<const Dealt>(weak(), std::move(batch), bytes);
  // One owner for all blocks of the batch: a list of them in each piece would cost more than the records.
  const std::shared_ptr<const Block> owner(dealt, reinterpret_cast<const Block*>(dealt.get()));

  std::vector<std::size_t> ready;
  {
    const std::lock_guard lock(mutex_);
    dealt_next_ = next_;
    for (const std::size_t index : touched) {
      Shard& shard = shards_[index];
      RecordBatch piece;
      piece.records = std::move(sorted_[index]);
      sorted_[index].clear();
      if (shard.by_itself) continue;
      // A checkpoint may be ahead of where reading began.
      std::erase_if(piece.records, [&](const Record& r) { return r.sequence <= shard.dealt; });
      for (LostRange lost : dealt->batch.lost) {
        if (lost.last <= shard.dealt || lost.first >= shard.end) continue;
        lost.last = std::min(lost.last, Sequence(shard.end.value() - 1));
        piece.lost.push_back(std::move(lost));
      }
      if (piece.records.empty() && piece.lost.empty()) continue;
      piece.next = std::min(next_, shard.end);
      piece.blocks.push_back(owner);
      shard.dealt = Sequence(piece.next.value() - 1);
      shard.pending_records += piece.records.size();
      shard.pending.push_back(std::move(piece));
      if (claim(shard)) ready.push_back(index);
    }
  }
  // Shards with real work side by side; many with a little each go together.
  const std::size_t each = std::max<std::size_t>(1, std::min(kShardsPerTask, ready.size() / 16));
  for (std::size_t i = 0; i < ready.size(); i += each)
    post_shards({ready.begin() + static_cast<std::ptrdiff_t>(i),
                 ready.begin() + static_cast<std::ptrdiff_t>(std::min(i + each, ready.size()))});
  end_closed();
  return true;
}

// What failing shards hold takes the room of the others. Dropped, it is read again by the shard itself. False: nothing
// was, or so many fail that waiting is right.
bool ShardedGroup::drop_failing() {
  std::vector<RecordBatch> dropped;  // let go outside the lock
  std::vector<ShardId> left_behind;
  {
    const std::lock_guard lock(mutex_);
    const auto failing = [](const Shard& shard) { return shard.retry.pause.count() != 0; };
    const auto at_work = [](const Shard& shard) { return shard.consumer != nullptr; };
    if (2 * std::count_if(shards_.begin(), shards_.end(), failing) >
        std::count_if(shards_.begin(), shards_.end(), at_work))
      return false;
    for (Shard& shard : shards_) {
      if (!failing(shard) || shard.busy || (!shard.held && shard.pending.empty())) continue;
      if (shard.held) shard.pending.insert(shard.pending.begin(), *std::exchange(shard.held, std::nullopt));
      shard.oldest = env_.clock.wall();
      if (const auto oldest = oldest_pending(shard)) shard.oldest = *oldest;
      for (RecordBatch& batch : shard.pending) dropped.push_back(std::move(batch));
      shard.pending.clear();
      shard.pending_records = 0;
      shard.by_itself = shard.left_behind = true;
      left_behind.push_back(shard.id);
    }
  }
  for (const ShardId shard : left_behind)
    env_.logger.warning(
        "a shard is left behind, the others of its group go on",
        {{"group", text_of(qualified_name())}, {"stream", stream_->title()}, {"shard", std::to_string(shard.value())}});
  return !dropped.empty();
}

// Shards that had nothing for a while learn how far the stream was looked through. `notes`: all are to note it.
void ShardedGroup::tell_idle(MonotonicTime now, bool notes) {
  told_idle_ = now;
  std::vector<std::size_t> ready;
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < shards_.size(); ++i) {
      Shard& shard = shards_[i];
      if (shard.consumer == nullptr) continue;
      shard.notes = shard.notes || notes;
      const Sequence to = std::min(next_, shard.end);
      if (shard.busy || shard.by_itself || shard.held || !shard.pending.empty()) continue;
      if (shard.told < to) {
        RecordBatch nothing;
        nothing.next = to;
        shard.dealt = Sequence(to.value() - 1);
        shard.pending.push_back(std::move(nothing));
      } else if (!shard.notes) {
        continue;
      }
      if (claim(shard)) ready.push_back(i);
    }
  }
  for (std::size_t i = 0; i < ready.size(); i += kShardsPerTask)
    post_shards({ready.begin() + static_cast<std::ptrdiff_t>(i),
                 ready.begin() + static_cast<std::ptrdiff_t>(std::min(i + kShardsPerTask, ready.size()))});
}

bool ShardedGroup::claim(Shard& shard) {
  if (shard.busy) return false;  // it looks again before it ends
  CHECK(shard.consumer != nullptr);
  shard.busy = true;
  ++busy_;
  return true;
}

void ShardedGroup::post_shards(std::vector<std::size_t> shards) {
  env_.background.post([self = std::static_pointer_cast<ShardedGroup>(shared_from_this()), shards = std::move(shards)] {
    for (const std::size_t index : shards) self->run_shard(index);
  });
}

void ShardedGroup::set_due(std::size_t index, MonotonicTime due) {
  Shard& shard = shards_[index];
  // A due time that moves on with each batch must not leave an entry each time.
  if (shard.due && *shard.due <= due) return;
  shard.due = due;
  due_.emplace(due, index);
}

// Ticks and retries whose time has come; the rest sets the one timer.
void ShardedGroup::wake_due(MonotonicTime now) {
  std::vector<std::size_t> ready;
  std::optional<MonotonicTime> first;
  {
    const std::lock_guard lock(mutex_);
    while (!due_.empty()) {
      const auto [due, index] = due_.top();
      Shard& shard = shards_[index];
      if (shard.due != due) {
        due_.pop();  // an earlier one took its place
        continue;
      }
      if (due > now) {
        first = due;
        break;
      }
      due_.pop();
      shard.due.reset();
      if (claim(shard)) ready.push_back(index);
    }
  }
  if (first) wake_at(*first);
  for (const std::size_t index : ready) post_shards({index});
}

std::shared_ptr<GroupRunner> make_sharded_group(Env& env, std::string name, std::shared_ptr<Stream> stream,
                                                std::shared_ptr<ShardedConsumer> consumer) {
  return std::make_shared<ShardedGroup>(env, std::move(name), std::move(stream), std::move(consumer));
}

}  // namespace tidemill
