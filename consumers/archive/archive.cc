#include "consumers/archive/archive.h"

#include <algorithm>
#include <cstdio>

#include "consumers/archive/unit.h"
#include "storage/base/check.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"

namespace tidemill {
namespace {

using archive::Store;
using archive::Unit;

constexpr std::uint32_t kLanes = 16;

std::string unit_name(char kind, std::uint32_t number) {
  char text[16];
  std::snprintf(text, sizeof text, kind == 's' ? "s%04u" : "l%02u", number);
  return text;
}

std::uint32_t lane_of(HashKey hash) {
  return static_cast<std::uint32_t>(hash.high >> 60);
}

HashRange lane_range(std::uint32_t lane) {
  const std::uint64_t first = std::uint64_t{lane} << 60;
  return {{first, 0}, {first | (~0ull >> 4), ~0ull}};
}

// Shards and lanes cut the stream differently: what one has archived the other cannot continue exactly once.
Result<void> refuse_other_kind(Env& env, const Store& store, char kind) {
  if (!store.manifest->has_other_kind(kind)) return {};
  env.logger.error("changing an archive between shards and lanes is not supported",
                   {{"stream", store.title}, {"remedy", archive::kAnew}});
  return StorageErrc::invalid_argument;
}

class ShardArchive final : public ShardedConsumer {
 public:
  ShardArchive(Env& env, std::string directory, const StreamDefinition& definition, LogReader log, ShardsNow shards)
      : env_(env),
        directory_(std::move(directory)),
        definition_(definition),
        log_(std::move(log)),
        shards_(std::move(shards)) {}

  Result<void> open() override {
    store_.reset();
    std::vector<archive::UnitSpan> units;
    const auto now = shards_ ? shards_() : nullptr;
    for (const auto& shard : now ? now->all() : definition_.shards)
      units.push_back({unit_name('s', shard.id.value()), shard.last_sequence});
    ASSIGN_OR_RETURN(store_, Store::open(env_, directory_, definition_, log_, units));
    return refuse_other_kind(env_, *store_, 's');
  }
  Result<std::unique_ptr<Consumer>> open_shard(const ShardDefinition& shard) override {
    CHECK(store_);
    return std::unique_ptr<Consumer>(std::make_unique<Unit>(store_, unit_name('s', shard.id.value()), shard.range));
  }
  Result<void> close() override {
    store_.reset();
    return {};
  }

 private:
  Env& env_;
  const std::string directory_;
  const StreamDefinition definition_;
  const LogReader log_;
  const ShardsNow shards_;
  std::shared_ptr<Store> store_;
};

// All lanes in one consumer: a lane's records come from many shards, in the stream's order.
class LaneArchive final : public Consumer {
 public:
  LaneArchive(Env& env, std::string directory, const StreamDefinition& definition, LogReader log)
      : env_(env), directory_(std::move(directory)), definition_(definition), log_(std::move(log)) {}

  Result<Position> open() override {
    lanes_.clear();
    std::vector<archive::UnitSpan> names;
    for (std::uint32_t lane = 0; lane < kLanes; ++lane) names.push_back({unit_name('l', lane)});
    ASSIGN_OR_RETURN(const auto store, Store::open(env_, directory_, definition_, log_, names));
    RETURN_IF_ERROR(refuse_other_kind(env_, *store, 'l'));
    for (std::uint32_t lane = 0; lane < kLanes; ++lane) {
      lanes_.push_back(std::make_unique<Unit>(store, names[lane].name, lane_range(lane)));
      RETURN_IF_ERROR(lanes_.back()->open());
    }
    return persisted();
  }

  // A lane that took its part before another failed skips it when the batch comes again.
  Result<void> process(const RecordBatch& batch) override {
    std::vector<RecordBatch> parts(kLanes);
    for (const Record& record : batch.records) parts[lane_of(record.hash)].records.push_back(record);
    Result<void> first_error;
    for (std::uint32_t lane = 0; lane < kLanes; ++lane) {
      parts[lane].next = batch.next;
      parts[lane].lost = batch.lost;
      keep_first(first_error, lanes_[lane]->process(parts[lane]));
    }
    return first_error;
  }

  std::optional<MonotonicTime> next_tick() override {
    std::optional<MonotonicTime> first;
    for (const auto& lane : lanes_)
      if (const auto at = lane->next_tick(); at && (!first || *at < *first)) first = at;
    return first;
  }
  Result<void> tick() override {
    return all([](Unit& lane) { return lane.tick(); });
  }
  Position applied() const override {
    return least([](const Unit& lane) { return lane.applied(); });
  }
  Position persisted() const override {
    return least([](const Unit& lane) { return lane.persisted(); });
  }
  Result<void> note_position() override {
    return all([](Unit& lane) { return lane.note_position(); });
  }
  std::optional<Filed> filed() const override {
    Filed sum;
    for (const auto& lane : lanes_) {
      sum.files += lane->filed()->files;
      sum.bytes += lane->filed()->bytes;
    }
    return sum;
  }
  Result<void> close() override {
    return all([](Unit& lane) { return lane.close(); });
  }

 private:
  static void keep_first(Result<void>& first_error, const Result<void>& result) {
    if (first_error && !result) first_error = result;
  }
  Result<void> all(auto call) {
    Result<void> first_error;
    for (const auto& lane : lanes_) keep_first(first_error, call(*lane));
    return first_error;
  }
  Position least(auto position) const {
    if (lanes_.empty()) return {};
    Position least = position(*lanes_.front());
    for (const auto& lane : lanes_) least = std::min(least, position(*lane));
    return least;
  }

  Env& env_;
  const std::string directory_;
  const StreamDefinition definition_;
  const LogReader log_;
  std::vector<std::unique_ptr<Unit>> lanes_;  // all of them from open() on
};

}  // namespace

std::unique_ptr<ShardedConsumer> make_archive(Env& env, std::string directory, const StreamDefinition& definition,
                                              LogReader log, ShardsNow shards) {
  return std::make_unique<ShardArchive>(env, std::move(directory), definition, std::move(log), std::move(shards));
}

std::unique_ptr<Consumer> make_lane_archive(Env& env, std::string directory, const StreamDefinition& definition,
                                            LogReader log) {
  return std::make_unique<LaneArchive>(env, std::move(directory), definition, std::move(log));
}

}  // namespace tidemill
