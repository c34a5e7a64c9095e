#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <queue>
#include <utility>
#include <vector>

#include "engine/group_runner.h"

namespace tidemill {

// Reads the stream once and deals its records out to a consumer for each shard.
//
//   run()        the dealer: reads, sorts by shard, hands each shard its piece. One at a time (Serial).
//   run_shard()  works off what a shard was dealt. Never twice at once for one shard; different shards side by side.
//
// The life of a shard: waits (no consumer, until its parents are drained), is opened and reads by itself what came
// meanwhile, is dealt its records; and once it is split or merged: is told where it ends, is drained (all applied, its
// consumer closed), and its children may open.
//
// There is one timer for the whole group, whatever the number of shards: ticks and retries stand in `due_`.
class ShardedGroup final : public GroupRunner {
 public:
  ShardedGroup(Env& env, std::string name, std::shared_ptr<Stream> stream, std::shared_ptr<ShardedConsumer> consumer)
      : GroupRunner(env, std::move(name), std::move(stream), kGather), consumer_(std::move(consumer)) {}

 protected:
  Result<void> open_consumer() override;
  void run_open() override;
  void run_closing() override;
  void fill(GroupStatus& status) const override;

 private:
  // Nobody waits for a file as for a view; a run for each commit would cost more than its work.
  static constexpr std::chrono::milliseconds kGather{5};
  static constexpr std::uint64_t kReadAheadBytes = 8 << 20;  // and one batch more
  static constexpr std::chrono::seconds kTellIdleEvery{1};
  static constexpr std::size_t kShardsPerTask = 64;           // of those that have next to nothing to do
  static constexpr std::uint64_t kOwnBatchBytes = 256 << 10;  // of a shard that reads by itself
  static constexpr int kOwnBatchesPerRun = 16;                // then others get the thread

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
    HashRange range;
    Sequence first;                     // its records lie in [first, end)
    Sequence end = kSequenceMax;        // once it is closed
    std::size_t waits_for = 0;          // parents that are not drained
    std::vector<std::size_t> children;  // that wait for it
    bool drained = false;
    std::unique_ptr<Consumer> consumer;  // none while it waits, and when it is drained
    std::vector<RecordBatch> pending;    // dealt, in order
    std::optional<RecordBatch> held;     // taken from there, not applied yet: what a retry is given again
    std::uint64_t pending_records = 0;   // of both
    Sequence dealt;                      // up to here everything of this shard is in pending, held or applied
    Sequence told;                       // `next` of the last batch applied
    bool busy = false;                   // run_shard() is on its way or running
    bool by_itself = true;  // is dealt nothing: it waits, or what it failed to apply was dropped; it reads from `told`
    bool left_behind = false;  // for that
    bool notes = false;        // is to note its position once it has nothing else to do
    WallTime oldest{};         // by itself: arrival of the first record that is missing
    Retry retry;
    std::string error;                 // of the last try
    std::optional<MonotonicTime> due;  // the entry in due_ that counts; perhaps earlier than needed
  };

  void give_back(std::uint64_t bytes) {
    in_flight_.fetch_sub(bytes);
    wake();
  }

  // The shards that the stream has now. The dealer's.
  std::size_t add_shard(const ShardDefinition& definition);
  Result<void> open_shard(std::size_t index);
  void follow();
  void end_closed();
  void open_children(MonotonicTime now);
  void drained(Shard& shard);

  Result<bool> deal();
  bool drop_failing();
  void tell_idle(MonotonicTime now, bool notes);
  void wake_due(MonotonicTime now);
  bool claim(Shard& shard);
  void post_shards(std::vector<std::size_t> shards);
  void run_shard(std::size_t index);
  void let_go() override;
  void set_due(std::size_t index, MonotonicTime due);
  static RecordBatch take_pending(Shard& shard);
  static std::optional<WallTime> oldest_pending(const Shard& shard);

  std::shared_ptr<ShardedConsumer> consumer_;  // gone when closed, like the shards'

  // The dealer's.
  static constexpr std::size_t kNone = ~std::size_t{0};
  std::vector<std::size_t> index_of_;        // by ShardId
  std::shared_ptr<const ShardTable> table_;  // what it deals by
  std::vector<std::size_t> closing_;         // closed ones that are not told yet
  Sequence next_;
  Sequence most_;  // the greatest checkpoint found
  Retry read_retry_;
  MonotonicTime told_idle_{};
  std::vector<std::vector<Record>> sorted_;  // empty between two batches
  std::atomic<std::uint64_t> in_flight_{0};

  mutable std::mutex mutex_;
  std::deque<Shard> shards_;          // only added to; a busy shard's consumer is its run_shard()'s
  std::vector<std::size_t> opening_;  // whose parents are drained: the dealer opens them
  std::optional<Filed> filed_;        // by those that are drained
  bool gone_ = false;                 // the consumers, for ever
  std::size_t busy_ = 0;
  std::size_t failing_ = 0;  // shards, and the dealer, whose last try failed
  Sequence dealt_next_;
  bool close_started_ = false;
  std::priority_queue<std::pair<MonotonicTime, std::size_t>, std::vector<std::pair<MonotonicTime, std::size_t>>,
                      std::greater<>>
      due_;
};

}  // namespace tidemill
