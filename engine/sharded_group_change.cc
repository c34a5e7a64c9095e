#include <algorithm>
#include <utility>

#include "engine/sharded_group.h"
#include "storage/base/logger.h"
#include "storage/seam/clock.h"

// Which shards there are: at the start, and as they are split and merged. All on the dealer's side but drained().

namespace tidemill {

Result<void> ShardedGroup::open_consumer() {
  shards_.clear();
  index_of_.clear();
  closing_.clear();
  opening_.clear();
  filed_.reset();
  due_ = {};
  most_ = {};
  RETURN_IF_ERROR(consumer_->open());
  table_ = stream_->shards().now().table;
  std::optional<Sequence> least;
  for (const ShardDefinition& definition : table_->all()) {  // parents before their children
    const std::size_t index = add_shard(definition);
    if (shards_[index].waits_for != 0) continue;
    RETURN_IF_ERROR(open_shard(index));
    Shard& shard = shards_[index];
    if (shard.drained) continue;
    shard.by_itself = false;
    if (!least || shard.dealt < *least) least = shard.dealt;
  }
  opening_.clear();
  sorted_.resize(shards_.size());
  next_ = dealt_next_ = next(least.value_or(Sequence()));
  told_idle_ = env_.clock.monotonic();
  for (std::size_t i = 0; i < shards_.size(); ++i)
    if (shards_[i].consumer != nullptr)
      if (const auto due = shards_[i].consumer->next_tick()) set_due(i, *due);
  return {};
}

// Waits for its parents, or is to be opened.
std::size_t ShardedGroup::add_shard(const ShardDefinition& definition) {
  const std::size_t index = shards_.size();
  const std::size_t id = definition.id.value();
  if (index_of_.size() <= id) index_of_.resize(id + 1, kNone);
  index_of_[id] = index;
  Shard& shard = shards_.emplace_back();
  shard.id = definition.id;
  shard.range = definition.range;
  shard.first = shard.told = definition.first_sequence;
  shard.dealt = Sequence(definition.first_sequence.value() - 1);
  shard.oldest = env_.clock.wall();
  if (!definition.open) {
    shard.end = next(definition.last_sequence);
    closing_.push_back(index);
  }
  for (const ShardId parent : definition.parents) {
    const std::size_t p = parent.value() < index_of_.size() ? index_of_[parent.value()] : kNone;
    if (p == kNone || shards_[p].drained) continue;
    shards_[p].children.push_back(index);
    ++shard.waits_for;
  }
  return index;
}

// A shard that is closed and has applied all of its records already is drained.
Result<void> ShardedGroup::open_shard(std::size_t index) {
  std::unique_lock lock(mutex_);
  Shard& shard = shards_[index];
  lock.unlock();
  ASSIGN_OR_RETURN(auto consumer, consumer_->open_shard(*table_->find(shard.id)));
  ASSIGN_OR_RETURN(const Position position, consumer->open());
  most_ = std::max(most_, position.sequence());
  lock.lock();
  shard.told = std::max(next(position.sequence()), shard.first);
  shard.dealt = Sequence(shard.told.value() - 1);
  shard.consumer = std::move(consumer);
  if (shard.told >= shard.end) drained(shard);
  return {};
}

// The lock is held.
void ShardedGroup::drained(Shard& shard) {
  if (const auto filed = shard.consumer->filed()) {
    if (!filed_) filed_.emplace();
    filed_->files += filed->files;
    filed_->bytes += filed->bytes;
  }
  shard.consumer.reset();
  shard.due.reset();  // what stands in due_ does not count any more
  shard.drained = true;
  for (const std::size_t child : shard.children)
    if (--shards_[child].waits_for == 0) opening_.push_back(child);
  shard.children.clear();
}

// Takes over what the stream's table says now. Nothing beyond a change has been dealt yet: read() sees to that.
void ShardedGroup::follow() {
  auto table = stream_->shards().now().table;
  if (table == table_) return;
  {
    const std::lock_guard lock(mutex_);
    for (const ShardDefinition& definition : table->all()) {
      const std::size_t id = definition.id.value();
      if (id >= index_of_.size() || index_of_[id] == kNone) {
        const std::size_t index = add_shard(definition);
        if (shards_[index].waits_for == 0) opening_.push_back(index);
        continue;
      }
      Shard& shard = shards_[index_of_[id]];
      if (definition.open || shard.end != kSequenceMax) continue;
      shard.end = next(definition.last_sequence);
      closing_.push_back(index_of_[id]);
    }
    sorted_.resize(shards_.size());
  }
  table_ = std::move(table);
}

// Closed shards whose end has been dealt are told so, whether they had a record there or not.
void ShardedGroup::end_closed() {
  if (closing_.empty()) return;
  std::vector<std::size_t> ready;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(closing_, [&](std::size_t index) {
      Shard& shard = shards_[index];
      if (shard.drained) return true;
      if (shard.by_itself || next_ < shard.end) return false;  // by itself it finds its end by itself
      if (next(shard.dealt) < shard.end) {
        RecordBatch nothing;
        nothing.next = shard.end;
        shard.dealt = Sequence(shard.end.value() - 1);
        shard.pending.push_back(std::move(nothing));
      }
      if (claim(shard)) ready.push_back(index);
      return true;
    });
  }
  for (const std::size_t index : ready) post_shards({index});
}

void ShardedGroup::open_children(MonotonicTime now) {
  std::vector<std::size_t> later;
  std::vector<std::size_t> ready;
  bool well_again = false;
  std::unique_lock lock(mutex_);
  while (!opening_.empty()) {  // a child may be drained already, and set its own free
    const std::size_t index = opening_.back();
    opening_.pop_back();
    Shard& shard = shards_[index];
    if (shard.retry.waiting(now)) {
      later.push_back(index);
      continue;
    }
    lock.unlock();
    const auto opened = open_shard(index);
    const std::string doing = "opening shard " + std::to_string(shard.id.value());
    if (!opened) failed(doing, opened.error());
    lock.lock();
    if (!opened) {
      shard.error = doing + ": " + opened.error().message();
      if (shard.retry.pause.count() == 0) ++failing_;
      shard.retry.failed(now);
      later.push_back(index);
      continue;
    }
    shard.error.clear();
    if (std::exchange(shard.retry, {}).pause.count() != 0 && --failing_ == 0) well_again = true;
    if (!shard.drained && claim(shard)) ready.push_back(index);
  }
  opening_ = later;
  std::vector<MonotonicTime> retries;
  for (const std::size_t index : later) retries.push_back(shards_[index].retry.at);
  lock.unlock();
  if (well_again) succeeded();
  for (const MonotonicTime at : retries) wake_at(at);
  for (const std::size_t index : ready) post_shards({index});
}

}  // namespace tidemill
