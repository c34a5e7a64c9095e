#include "engine/shards.h"

#include <algorithm>
#include <charconv>

#include "engine/errors.h"
#include "storage/base/check.h"

namespace tidemill {
namespace {

__extension__ using Uint128 = unsigned __int128;

HashKey key_of(Uint128 value) {
  return {static_cast<std::uint64_t>(value >> 64), static_cast<std::uint64_t>(value)};
}
Uint128 number_of(HashKey key) {
  return Uint128{key.high} << 64 | key.low;
}

template <class Shards>
auto find_id(Shards& shards, ShardId id) {
  const auto it = std::lower_bound(shards.begin(), shards.end(), id,
                                   [](const ShardDefinition& shard, ShardId wanted) { return shard.id < wanted; });
  return it != shards.end() && it->id == id ? it : shards.end();
}

ShardDefinition child(std::uint32_t id, HashRange range, std::vector<ShardId> parents) {
  ShardDefinition shard;
  shard.id = ShardId(id);
  shard.range = range;
  shard.parents = std::move(parents);
  return shard;
}

// That the ranges follow each other without a gap; ascending.
bool in_a_row(const std::vector<HashRange>& ranges) {
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (ranges[i].last < ranges[i].first) return false;
    if (i == 0) continue;
    if (ranges[i - 1].last == kHashKeyMax) return false;
    if (number_of(ranges[i - 1].last) + 1 != number_of(ranges[i].first)) return false;
  }
  return true;
}

std::vector<HashRange> sorted(std::vector<HashRange> ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const HashRange& a, const HashRange& b) { return a.first < b.first; });
  return ranges;
}

}  // namespace

std::optional<HashKey> hash_key_from_hex(std::string_view text) {
  const auto half = [&](std::size_t at, std::uint64_t& number) {
    const char* const end = text.data() + at + 16;
    const auto [stopped, ec] = std::from_chars(text.data() + at, end, number, 16);
    return ec == std::errc() && stopped == end;
  };
  HashKey key;
  if (text.size() != 32 || !half(0, key.high) || !half(16, key.low)) return std::nullopt;
  return key;
}

std::vector<ShardDefinition> make_shards(std::uint32_t count) {
  CHECK(count > 0);
  constexpr Uint128 kMax = ~Uint128{0};
  // floor(2^128 / count) without 2^128: one more than floor(max / count) where count divides 2^128.
  const Uint128 width = kMax / count + (kMax % count == count - 1 ? 1 : 0);
  std::vector<ShardDefinition> shards(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    shards[i].id = ShardId(i);
    shards[i].range.first = key_of(width * i);  // count == 1: width is 2^128, which is 0, times 0
    shards[i].range.last = i + 1 == count ? kHashKeyMax : key_of(width * (i + 1) - 1);
  }
  return shards;
}

bool valid_shards(const std::vector<ShardDefinition>& shards) {
  std::vector<HashRange> open;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const ShardDefinition& shard = shards[i];
    if (shard.id.value() >= kShardIdsMax || (i != 0 && shard.id <= shards[i - 1].id)) return false;
    if (shard.range.last < shard.range.first) return false;
    for (const ShardId parent : shard.parents)
      if (parent >= shard.id) return false;
    if (shard.open) open.push_back(shard.range);
  }
  open = sorted(std::move(open));
  return !open.empty() && open.front().first == HashKey{} && open.back().last == kHashKeyMax && in_a_row(open);
}

Result<void> apply_reshard(std::vector<ShardDefinition>& shards, const Reshard& change) {
  const bool split = change.closed.size() == 1 && change.opened.size() == 2;
  const bool merge = change.closed.size() == 2 && change.opened.size() == 1;
  if ((!split && !merge) || change.at == kSequenceMax) return EngineErrc::invalid_definition;
  std::vector<HashRange> before;
  std::vector<HashRange> after;
  for (const ShardId id : change.closed) {
    const auto it = find_id(shards, id);
    if (it == shards.end() || !it->open || next(change.at) < it->first_sequence) return EngineErrc::invalid_definition;
    before.push_back(it->range);
  }
  ShardId last = shards.back().id;
  for (const ShardDefinition& shard : change.opened) {
    if (shard.id <= last || shard.id.value() >= kShardIdsMax) return EngineErrc::invalid_definition;
    last = shard.id;
    after.push_back(shard.range);
  }
  before = sorted(std::move(before));
  after = sorted(std::move(after));
  // The same keys before and after; a shard that is named twice is no row.
  if (!in_a_row(before) || !in_a_row(after) || before.front().first != after.front().first ||
      before.back().last != after.back().last)
    return EngineErrc::invalid_definition;

  for (const ShardId id : change.closed) {
    const auto it = find_id(shards, id);
    it->open = false;
    it->last_sequence = change.at;
  }
  for (ShardDefinition shard : change.opened) {
    shard.parents = change.closed;
    shard.open = true;
    shard.first_sequence = next(change.at);
    shard.last_sequence = kSequenceMax;
    shards.push_back(std::move(shard));
  }
  return {};
}

// ---- ShardTable

ShardTable::ShardTable(std::vector<ShardDefinition> shards) : all_(std::move(shards)) {
  std::size_t open_then = 0;
  for (std::size_t i = 0; i < all_.size(); ++i) {
    const ShardDefinition& shard = all_[i];
    if (shard.open) open_.emplace_back(shard.range.last, i);
    newest_ = std::max(newest_, shard.first_sequence);
    // Ids follow the changes in time. A shard is one more; a merge's takes two away, and of a split's two the first
    // stands for the parent.
    const bool first_of_split =
        shard.parents.size() == 1 && i + 1 < all_.size() && all_[i + 1].parents == shard.parents;
    if (shard.parents.size() == 2) {
      --open_then;
    } else if (!first_of_split) {
      ++open_then;
    }
    most_open_ = std::max(most_open_, open_then);
  }
  std::sort(open_.begin(), open_.end());
  CHECK(!open_.empty() && open_.back().first == kHashKeyMax);
}

const ShardDefinition* ShardTable::find(ShardId id) const {
  const auto it = find_id(all_, id);
  return it == all_.end() ? nullptr : &*it;
}

std::size_t ShardTable::index_of_open(HashKey hash) const {
  return std::lower_bound(open_.begin(), open_.end(), hash,
                          [](const auto& shard, const HashKey& key) { return shard.first < key; })
      ->second;
}

ShardId ShardTable::shard_of(HashKey hash) const {
  return all_[index_of_open(hash)].id;
}

// From the shard of now up to the one of then: a step for each change in between that met the key.
ShardId ShardTable::shard_of(HashKey hash, Sequence sequence) const {
  const ShardDefinition* shard = &all_[index_of_open(hash)];
  if (sequence >= newest_) return shard->id;
  while (sequence < shard->first_sequence) {
    const ShardDefinition* parent = nullptr;
    for (const ShardId id : shard->parents)
      if (const auto* one = find(id); one != nullptr && one->range.contains(hash)) parent = one;
    if (parent == nullptr) break;  // the definition does not say
    shard = parent;
  }
  return shard->id;
}

std::vector<ShardId> ShardTable::children(ShardId id) const {
  std::vector<ShardId> all;
  for (const ShardDefinition& shard : all_)
    if (std::find(shard.parents.begin(), shard.parents.end(), id) != shard.parents.end()) all.push_back(shard.id);
  return all;
}

Result<const ShardDefinition*> ShardTable::open_shard(ShardId id) const {
  const ShardDefinition* shard = find(id);
  if (shard == nullptr) return EngineErrc::no_such_shard;
  if (!shard->open) return EngineErrc::shard_closed;
  return shard;
}

Result<Reshard> ShardTable::plan_split(ShardId id, std::optional<HashKey> at) const {
  ASSIGN_OR_RETURN(const ShardDefinition* shard, open_shard(id));
  const std::uint32_t next_id = all_.back().id.value() + 1;
  if (open_.size() >= kOpenShardsMax || next_id + 2 > kShardIdsMax) return EngineErrc::too_many_shards;
  const Uint128 first = number_of(shard->range.first);
  const Uint128 last = number_of(shard->range.last);
  if (first == last) return EngineErrc::invalid_split;
  const Uint128 cut = at ? number_of(*at) : first + (last - first) / 2 + 1;
  if (cut <= first || cut > last) return EngineErrc::invalid_split;
  Reshard change;
  change.closed = {id};
  change.opened.push_back(child(next_id, {shard->range.first, key_of(cut - 1)}, {id}));
  change.opened.push_back(child(next_id + 1, {key_of(cut), shard->range.last}, {id}));
  return change;
}

Result<Reshard> ShardTable::plan_merge(ShardId id, ShardId with) const {
  ASSIGN_OR_RETURN(const ShardDefinition* a, open_shard(id));
  ASSIGN_OR_RETURN(const ShardDefinition* b, open_shard(with));
  const std::uint32_t next_id = all_.back().id.value() + 1;
  if (next_id + 1 > kShardIdsMax) return EngineErrc::too_many_shards;
  if (b->range.first < a->range.first) std::swap(a, b);
  if (a == b || number_of(a->range.last) + 1 != number_of(b->range.first)) return EngineErrc::not_adjacent;
  Reshard change;
  change.closed = {a->id, b->id};
  change.opened.push_back(child(next_id, {a->range.first, b->range.last}, change.closed));
  return change;
}

// ---- ShardMap

ShardMap::Now ShardMap::now() const {
  const std::lock_guard lock(mutex_);
  return {table_, proposed_ != nullptr ? proposed_ : table_, settled_};
}

void ShardMap::settle() {
  std::shared_ptr<const ShardTable> gone;  // freed outside the lock
  const std::lock_guard lock(mutex_);
  CHECK(proposed_);
  gone = std::exchange(table_, std::exchange(proposed_, nullptr));
  settled_ = kSequenceMax;
}

void ShardMap::withdraw() {
  const std::lock_guard lock(mutex_);
  proposed_.reset();
  settled_ = kSequenceMax;
}

}  // namespace tidemill
