#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/base/ids.h"
#include "storage/base/result.h"

namespace tidemill {

inline constexpr std::uint32_t kOpenShardsMax = 10'000;
inline constexpr std::uint32_t kShardIdsMax = 1'000'000;  // in a stream's whole life: tables are indexed by them
inline constexpr Sequence kSequenceMax{~std::uint64_t{0}};

struct ShardDefinition {
  ShardId id;
  HashRange range;
  std::vector<ShardId> parents;  // one after a split, two after a merge; none: made with the stream
  bool open = true;
  Sequence first_sequence{1};            // its records have numbers from here
  Sequence last_sequence{kSequenceMax};  // to here, once it is closed
};

// 32 hexadecimal digits, as to_hex() writes them.
std::optional<HashKey> hash_key_from_hex(std::string_view text);

// N equal ranges of the hash space, as Kinesis cuts them: floor(2^128/N) wide, the last one takes the rest.
std::vector<ShardDefinition> make_shards(std::uint32_t count);

// A split or a merge: these shards end at a sequence, those begin after it and have the same keys.
struct Reshard {
  std::vector<ShardId> closed;
  Sequence at;
  std::vector<ShardDefinition> opened;
};
// Makes the change in `shards` (ascending by id). invalid_definition, and nothing done, where it does not fit them.
Result<void> apply_reshard(std::vector<ShardDefinition>& shards, const Reshard& change);

// All shards that a stream has had. Immutable, any thread. Which one a record belongs to follows from its hash key and
// its sequence alone, for ever: a reader that comes years later deals it out as the first one did.
class ShardTable {
 public:
  explicit ShardTable(std::vector<ShardDefinition> shards);

  const std::vector<ShardDefinition>& all() const { return all_; }  // ascending by id, closed ones too
  std::size_t open() const { return open_.size(); }
  std::size_t most_open() const { return most_open_; }      // at any time
  const ShardDefinition* find(ShardId id) const;            // nullptr: there is none
  ShardId shard_of(HashKey hash) const;                     // of those that are open
  ShardId shard_of(HashKey hash, Sequence sequence) const;  // of that time
  std::vector<ShardId> children(ShardId id) const;

  // What to change, but for the sequence. no_such_shard, shard_closed, invalid_split (a range cannot be cut there),
  // not_adjacent, too_many_shards. `at` is the first hash key of the second child; without it, the middle.
  Result<Reshard> plan_split(ShardId id, std::optional<HashKey> at) const;
  Result<Reshard> plan_merge(ShardId id, ShardId with) const;

 private:
  std::size_t index_of_open(HashKey hash) const;
  Result<const ShardDefinition*> open_shard(ShardId id) const;

  std::vector<ShardDefinition> all_;
  std::vector<std::pair<HashKey, std::size_t>> open_;  // last hash key of each, ascending; where in all_
  std::size_t most_open_ = 0;
  Sequence newest_{1};  // first sequence of the latest change's children
};

// A stream's present table; shared by all that hold the stream. Any thread.
//
// A change takes effect at a sequence, and is only true once its event is on disk. So it is made in two steps:
// propose() takes the durable sequence of that moment, and from then on who acts on shards (groups) takes no record
// beyond it, until settle() or withdraw(). Nobody has acted on a later record before, for nobody acts on what is not
// durable. Appends know nothing of shards and go on.
class ShardMap {
 public:
  explicit ShardMap(std::vector<ShardDefinition> shards)
      : table_(std::make_shared<const ShardTable>(std::move(shards))) {}

  struct Now {
    std::shared_ptr<const ShardTable> table;  // on disk
    std::shared_ptr<const ShardTable> shown;  // with a change that is on its way: what is shown of a record stays so
    Sequence settled = kSequenceMax;          // beyond it `table` may not hold
  };
  Now now() const;

  // `durable` is read under the lock: after it, whoever asks now() sees it in `settled`. One at a time.
  template <class F>
  Result<void> propose(Reshard& change, F&& durable) {
    const std::lock_guard lock(mutex_);
    change.at = durable();
    auto shards = table_->all();
    RETURN_IF_ERROR(apply_reshard(shards, change));
    proposed_ = std::make_shared<const ShardTable>(std::move(shards));
    settled_ = change.at;
    return {};
  }
  void settle();
  void withdraw();

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const ShardTable> table_;
  std::shared_ptr<const ShardTable> proposed_;
  Sequence settled_ = kSequenceMax;
};

// That the shards have ids of their own, in ascending order, and the open ones cover the hash space without gap or
// overlap.
bool valid_shards(const std::vector<ShardDefinition>& shards);

}  // namespace tidemill
