#include <cstdint>
#include <queue>
#include <utility>
#include <vector>

#include "engine/group_runner.h"
#include "storage/base/check.h"
#include "storage/base/errors.h"
#include "storage/seam/clock.h"
#include "storage/seam/executor.h"

namespace tidemill {
namespace {

constexpr std::uint64_t kReadAheadBytes = 8 << 20;  // and one batch more
constexpr std::chrono::seconds kTellIdleEvery{1};
constexpr std::size_t kShardsPerTask = 64;  // of those that have next to nothing to do

// Reads the stream once and deals its records out to a consumer for each shard.
//
//   run()        the dealer: reads, sorts by shard, hands each shard its piece. One at a time (Serial).
//   run_shard()  works off what a shard was dealt. Never twice at once for one shard; different shards side by side.
//
// There is one timer for the whole group, whatever the number of shards: ticks and retries stand in `due_`.
class ShardedGroup final : public GroupRunner {
 public:
  ShardedGroup(Env& env, std::string name, std::shared_ptr<Stream> stream, std::shared_ptr<ShardedConsumer> consumer)
      : GroupRunner(env, std::move(name), std::move(stream)), consumer_(std::move(consumer)) {}

  Result<void> open() override;

 protected:
  void run_open() override;
  void run_closing() override;
  void fill(GroupStatus& status) const override;

 private:
  // What was read at once. The pieces of it share it; when the last is done, its room is free again.
  struct Dealt {
    Dealt(std::weak_ptr<Serial> g, RecordBatch b, std::uint64_t n)
        : group(std::move(g)), batch(std::move(b)), bytes(n) {}
    Dealt(const Dealt&) = delete;
    ~Dealt() {
      if (const auto owner = group.lock()) static_cast<ShardedGroup&>(*owner).give_back(bytes);
    }
    const std::weak_ptr<Serial> group;
    const RecordBatch batch;
    const std::uint64_t bytes;
  };

  struct Shard {
    ShardId id;
    std::unique_ptr<Consumer> consumer;
    std::vector<RecordBatch> pending;   // dealt, in order
    std::optional<RecordBatch> held;    // taken from there, not applied yet: what a retry is given again
    std::uint64_t pending_records = 0;  // of both
    Sequence dealt;                     // up to here everything of this shard is in pending, held or applied
    Sequence told;                      // `next` of the last batch applied
    bool busy = false;                  // run_shard() is on its way or running
    bool tick = false;
    Retry retry;
    std::optional<MonotonicTime> due;  // the entry in due_ that counts
  };

  void give_back(std::uint64_t bytes) {
    in_flight_.fetch_sub(bytes);
    wake();
  }

  Result<bool> deal();
  void tell_idle(MonotonicTime now);
  void wake_due(MonotonicTime now);
  bool claim(Shard& shard);
  void post_shards(std::vector<std::size_t> shards);
  void run_shard(std::size_t index);
  void set_due(std::size_t index, MonotonicTime due);
  static RecordBatch take_pending(Shard& shard);

  const std::shared_ptr<ShardedConsumer> consumer_;
  std::vector<std::size_t> index_of_;  // by ShardId

  // The dealer's.
  Sequence next_;
  Sequence most_;  // the greatest checkpoint found
  Retry read_retry_;
  MonotonicTime told_idle_{};
  std::vector<std::vector<Record>> sorted_;  // empty between two batches
  std::atomic<std::uint64_t> in_flight_{0};

  mutable std::mutex mutex_;
  std::vector<Shard> shards_;  // their number and consumers are fixed; a busy shard's consumer is its run_shard()'s
  std::size_t busy_ = 0;
  std::size_t failing_ = 0;  // shards, and the dealer, whose last try failed
  Sequence dealt_next_;
  bool close_started_ = false;
  std::priority_queue<std::pair<MonotonicTime, std::size_t>, std::vector<std::pair<MonotonicTime, std::size_t>>,
                      std::greater<>>
      due_;
};

Result<void> ShardedGroup::open() {
  RETURN_IF_ERROR(consumer_->open());
  std::optional<Sequence> least;
  for (const ShardDefinition& definition : stream_->definition().shards) {
    // A closed shard's records are its own until it is drained, and its children wait for that: with resharding,
    // Stream::shard_of() will need the sequence as well, and claim() the parents.
    if (!definition.open) continue;
    ASSIGN_OR_RETURN(auto consumer, consumer_->open_shard(definition));
    ASSIGN_OR_RETURN(const Position position, consumer->open());
    const std::size_t id = definition.id.value();
    if (index_of_.size() <= id) index_of_.resize(id + 1);
    index_of_[id] = shards_.size();
    Shard shard;
    shard.id = definition.id;
    shard.consumer = std::move(consumer);
    shard.dealt = position.sequence();
    shard.told = next(position.sequence());
    if (!least || position.sequence() < *least) least = position.sequence();
    most_ = std::max(most_, position.sequence());
    shards_.push_back(std::move(shard));
  }
  sorted_.resize(shards_.size());
  next_ = dealt_next_ = next(least.value_or(Sequence()));
  told_idle_ = env_.clock.monotonic();
  for (std::size_t i = 0; i < shards_.size(); ++i)
    if (const auto due = shards_[i].consumer->next_tick()) set_due(i, *due);
  return {};
}

void ShardedGroup::run_open() {
  const MonotonicTime now = env_.clock.monotonic();
  wake_due(now);
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
  if (now - told_idle_ >= kTellIdleEvery) tell_idle(now);
  if (*more) wake();
}

// Reads one batch and hands it out. False: nothing to read, or no room to hold it (then give_back() wakes).
Result<bool> ShardedGroup::deal() {
  if (in_flight_.load() >= kReadAheadBytes) return false;
  // A log that ends before a checkpoint lost its end, or is another: its new records would be taken for old ones.
  if (most_ > stream_->log().durable()) return StorageErrc::beyond_end;
  caught_up();  // before looking: a publish from here on says otherwise, and wakes
  ASSIGN_OR_RETURN(RecordBatch batch, read(next_));
  if (batch.next == next_) return false;

  std::uint64_t bytes = 0;
  std::vector<std::size_t> touched;
  for (const Record& record : batch.records) {
    bytes += sizeof(Record) + record.key.size() + record.headers.size() + record.data.size();
    const std::size_t index = index_of_[stream_->shard_of(record.hash).value()];
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
      // A checkpoint may be ahead of where reading began.
      std::erase_if(piece.records, [&](const Record& r) { return r.sequence <= shard.dealt; });
      for (const LostRange& lost : dealt->batch.lost)
        if (lost.last > shard.dealt) piece.lost.push_back(lost);
      if (piece.records.empty() && piece.lost.empty()) continue;
      piece.next = next_;
      piece.blocks.push_back(owner);
      shard.dealt = Sequence(next_.value() - 1);
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
  return true;
}

// Shards that had nothing for a while learn how far the stream was looked through.
void ShardedGroup::tell_idle(MonotonicTime now) {
  told_idle_ = now;
  std::vector<std::size_t> ready;
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < shards_.size(); ++i) {
      Shard& shard = shards_[i];
      if (shard.busy || shard.held || !shard.pending.empty() || shard.told >= next_) continue;
      RecordBatch nothing;
      nothing.next = next_;
      shard.dealt = Sequence(next_.value() - 1);
      shard.pending.push_back(std::move(nothing));
      if (claim(shard)) ready.push_back(i);
    }
  }
  for (std::size_t i = 0; i < ready.size(); i += kShardsPerTask)
    post_shards({ready.begin() + static_cast<std::ptrdiff_t>(i),
                 ready.begin() + static_cast<std::ptrdiff_t>(std::min(i + kShardsPerTask, ready.size()))});
}

bool ShardedGroup::claim(Shard& shard) {
  if (shard.busy) return false;  // it looks again before it ends
  shard.busy = true;
  ++busy_;
  return true;
}

void ShardedGroup::post_shards(std::vector<std::size_t> shards) {
  env_.background.post([self = std::static_pointer_cast<ShardedGroup>(shared_from_this()), shards = std::move(shards)] {
    for (const std::size_t index : shards) self->run_shard(index);
  });
}

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
    const bool tick = std::exchange(shard.tick, false);
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

void ShardedGroup::set_due(std::size_t index, MonotonicTime due) {
  Shard& shard = shards_[index];
  if (shard.due == due) return;
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
        due_.pop();  // the shard thought better of it
        continue;
      }
      if (due > now) {
        first = due;
        break;
      }
      due_.pop();
      shard.due.reset();
      if (!shard.retry.waiting(now) && shard.retry.pause.count() == 0) shard.tick = true;
      if (claim(shard)) ready.push_back(index);
    }
  }
  if (first) wake_at(*first);
  for (const std::size_t index : ready) post_shards({index});
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
    self->closed_with(closing->result ? result : closing->result);
  };
  for (std::size_t i = 0; i < tasks; ++i) env_.background.post([close_some, i] { close_some(i * kShardsPerTask); });
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
    s.shard = shard.id;
    s.applied = shard.consumer->applied();
    s.persisted = shard.consumer->persisted();
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

}  // namespace

std::shared_ptr<GroupRunner> make_sharded_group(Env& env, std::string name, std::shared_ptr<Stream> stream,
                                                std::shared_ptr<ShardedConsumer> consumer) {
  return std::make_shared<ShardedGroup>(env, std::move(name), std::move(stream), std::move(consumer));
}

}  // namespace tidemill
