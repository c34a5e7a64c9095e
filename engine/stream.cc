#include "engine/stream.h"

#include <algorithm>

#include "storage/base/check.h"

namespace tidemill {
namespace {

__extension__ using Uint128 = unsigned __int128;

HashKey split(Uint128 value) {
  return {static_cast<std::uint64_t>(value >> 64), static_cast<std::uint64_t>(value)};
}

}  // namespace

std::vector<ShardDefinition> make_shards(std::uint32_t count) {
  CHECK(count > 0);
  constexpr Uint128 kMax = ~Uint128{0};
  // floor(2^128 / count) without 2^128: one more than floor(max / count) where count divides 2^128.
  const Uint128 width = kMax / count + (kMax % count == count - 1 ? 1 : 0);
  std::vector<ShardDefinition> shards(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    shards[i].id = ShardId(i);
    shards[i].range.first = split(width * i);  // count == 1: width is 2^128, which is 0, times 0
    shards[i].range.last = i + 1 == count ? kHashKeyMax : split(width * (i + 1) - 1);
  }
  return shards;
}

bool valid_stream_name(std::string_view name) {
  if (name.empty() || name.size() > 128 || name == "." || name == "..") return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  });
}

Stream::Stream(StreamDefinition definition, std::shared_ptr<Log> log)
    : definition_(std::move(definition)), log_(std::move(log)) {
  if (log_ != nullptr) incarnation_ = log_->status().incarnation;
  for (const ShardDefinition& shard : definition_.shards)
    if (shard.open) open_.emplace_back(shard.range.last, shard.id);
  std::sort(open_.begin(), open_.end());
  CHECK(!open_.empty() && open_.back().first == kHashKeyMax);
}

ShardId Stream::shard_of(HashKey hash) const {
  const auto it = std::lower_bound(open_.begin(), open_.end(), hash,
                                   [](const auto& shard, const HashKey& key) { return shard.first < key; });
  return it->second;
}

}  // namespace tidemill
