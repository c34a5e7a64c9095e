#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "consumers/views/build_pace.h"
#include "consumers/views/upkeep.h"
#include "consumers/views/view.h"
#include "consumers/views/waiters.h"
#include "engine/consumer.h"
#include "engine/stream.h"

namespace tidemill::views {

// A view and where it stands. Made by the catalog; written by the stream's consumer; read by everybody.
class LiveView {
 public:
  struct Begin {
    Position shown_before;  // to readers, before the last stop
    Sequence from{1};       // it counts records from here on, or from where the log begins if that is later
    Position build_until;   // of a new definition: what there was to build when it was made
    bool aside = false;     // nobody reads it yet: it is to take the place of another definition
    std::shared_ptr<const Decisions> decisions;            // about its records, also those that are still to come
    std::vector<std::shared_ptr<const LiveView>> lookups;  // in the order of its definition
  };
  LiveView(std::shared_ptr<const View> v, const Begin& begin)
      : view(std::move(v)),
        waiters(std::make_shared<Waiters>()),
        shown_before(begin.shown_before),
        from(begin.from),
        build_until(begin.build_until),
        aside(begin.aside),
        decisions(begin.decisions),
        lookups(begin.lookups) {}

  const std::shared_ptr<const View> view;
  const std::shared_ptr<Waiters> waiters;  // knows what is applied
  const Position shown_before;
  const Sequence from;
  const Position build_until;
  const bool aside;
  const std::shared_ptr<const Decisions> decisions;
  const std::vector<std::shared_ptr<const LiveView>> lookups;  // not changed or dropped as long as this is there
  std::atomic<std::uint64_t> persisted{0};
  std::atomic<std::uint64_t> since{1};
  std::atomic<std::uint64_t> lineage{0};  // 0: none is kept
  std::atomic<std::uint64_t> rows{0};
  std::atomic<std::uint64_t> parked{0};
  std::atomic<std::int64_t> applied_time_ms{0};
  std::atomic<std::int64_t> stream_time_ms{0};  // these where rows go with time
  std::atomic<std::uint64_t> expired{0};
  std::atomic<std::uint64_t> late{0};
  std::atomic<bool> going{false};  // with the others of its stream
  std::atomic<bool> dropped{false};
  const std::shared_ptr<Changes> changes = std::make_shared<Changes>();
  std::atomic<std::uint64_t> settled{0};  // decisions that brought records into rows later than they came
  std::atomic<std::uint64_t> audited{0};  // rows that were made again, as a sample; of them:
  std::atomic<std::uint64_t> audit_mismatches{0};
  std::atomic<std::int64_t> audited_time_ms{0};  // when that last ended

  Position applied() const { return waiters->reached(); }
  bool ready() const { return shown_before <= applied(); }
  // It has what there was when it was made, and what it had shown before the last stop.
  bool caught_up() const { return going && ready() && build_until <= applied(); }
  // Only then it may go on: a record that it counts finds what the views that it looks up have made of all before.
  bool may_go_on() const {
    return std::all_of(lookups.begin(), lookups.end(), [](const auto& l) { return l->caught_up(); });
  }
  LookedUp looked_up() const {
    LookedUp out;
    for (const auto& l : lookups) out.push_back(l->view);
    return out;
  }
  bool is_build() const { return aside || build_until != Position(); }
};

inline constexpr std::uint32_t kShownNote = 0;  // of the log's notes: how far its views may have been seen by readers

struct StreamViewsMetrics {
  Counter records, batches, rows_written, lost_records;
  Histogram batch_us{kLatencyBoundsUs};
  Histogram visible_us{kLatencyBoundsUs};  // arrival of a record to visible in the views
};

// Keeps all views of one stream: one group, one reading, each record parsed once for all of them, each view with a
// checkpoint of its own. Owned by the group's runtime and the catalog.
//
// A view that is behind the others (new, being built, or set back further by a crash) catches up by itself, in slices
// beside them, and joins when it has reached them: the others stay as fresh as they are. Building is done on `builds`,
// and slows down where the others do not keep up.
//
// A view that looks up others catches up when they have (LiveView::may_go_on), of whatever stream they are. Of each
// batch those of the same stream come before it, and it sees them with that batch in them; others as the store has them
// then.
class StreamViews final : public Consumer, public std::enable_shared_from_this<StreamViews> {
 public:
  struct Options {
    std::uint64_t cache_bytes = 0;
    Executor* builds = nullptr;  // nullptr: env.background
    std::shared_ptr<BuildPace> pace;
  };
  StreamViews(Env& env, Database& database, std::shared_ptr<Stream> stream, Options options);

  // Starts keeping it up to date; readers see what it has at once. `joined` is called when it goes with the others, on
  // env.background. Blocks on the disk.
  SqlResult<bool> add(std::shared_ptr<LiveView> view, std::function<void()> joined = {});
  // It is left alone when this returns. Blocks for a slice at most.
  void remove(const LiveView& view);
  // `fresh` takes the place of `old`: `show` is called while neither changes and both have the same records in them (or
  // `old` has fewer). false: `fresh` does not go with the others. Blocks like remove().
  bool replace(const LiveView& old, const LiveView& fresh, const std::function<void()>& show);
  bool empty() const;
  // Begins to put on disk what all that go together have, and all of them have the same records. What comes later is
  // not in it. Does not wait for the disk.
  Result<void> begin_flush();

  // What decisions about records in its quarantine would change. nullopt: it is not kept here any more.
  struct Trial {
    Upkeep::Settling settling;
    WriteSet changes;
    std::unique_ptr<Snapshot> before;  // what they would change it of
  };
  Result<std::optional<Trial>> try_settling(const LiveView& view, std::span<const Decided> decided);
  // Decisions that have been made take effect. An error: they do later, by themselves.
  Result<void> settle(const LiveView& view, std::span<const Decided> decided);

  const StreamViewsMetrics& metrics() const { return metrics_; }

  Result<Position> open() override;
  Result<void> process(const RecordBatch& batch) override;
  std::optional<MonotonicTime> next_tick() override;
  Result<void> tick() override;
  Position applied() const override;
  Position persisted() const override;
  Result<void> close() override;

 private:
  struct Kept {
    std::shared_ptr<LiveView> live;
    std::unique_ptr<Upkeep> upkeep;
    Position flushing;  // asked for, and not yet seen on disk
    std::function<void()> joined;
    std::mutex mutex;        // while it catches up: held where a slice is applied
    bool unsettled = false;  // decisions could not be written
    bool waits = false;      // for those that it looks up; has been said
  };

  Result<void> allow(Position through);
  Result<void> apply_all(Position through);
  std::shared_ptr<const Snapshot> look_in(const Kept& kept, const std::shared_ptr<const Snapshot>& stored) const;
  Result<void> apply(Kept& kept, const ParsedBatch& parsed, Position through);
  void show(Kept& kept);
  void show_counts(Kept& kept);
  Result<void> flush_if_due(Kept& kept, bool all);
  void see_persisted(Kept& kept);
  void count_persisted();
  void parse(const RecordBatch& batch);
  ParsedBatch::ShardOf shard_of() const {
    return [stream = stream_](HashKey h, Sequence s) { return stream->shard_of(h, s); };
  }
  std::shared_ptr<Kept> leave(const LiveView& view);  // a slice of it may still be under way
  Result<void> begin(Kept& kept) const;
  SqlResult<std::unique_ptr<Upkeep>> open_upkeep(const Kept& kept, FieldSet& fields) const;

  // stream_views_settle.cc
  std::shared_ptr<Kept> kept_of(const LiveView& view) const;
  static std::uint64_t counted_late(const LiveView& live);
  Result<void> settle(Kept& kept, std::optional<std::span<const Decided>> decided = {});

  // stream_views_behind.cc
  void catch_up_later(std::shared_ptr<Kept> kept, std::shared_ptr<FieldSet> fields,
                      std::chrono::nanoseconds pause = std::chrono::nanoseconds(0));
  void catch_up(std::shared_ptr<Kept> kept, std::shared_ptr<FieldSet> fields);
  Result<bool> slice(Kept& kept, const FieldSet& fields, Position until);
  void join(std::shared_ptr<Kept> kept, std::shared_ptr<FieldSet> fields);
  Result<void> go_with_others(const std::shared_ptr<Kept>& kept);
  void report(const RecordBatch& batch);

  Env& env_;
  Database& database_;
  const std::shared_ptr<Stream> stream_;
  const Options options_;
  StreamViewsMetrics metrics_;
  std::atomic<std::uint64_t> applied_{0};
  std::atomic<std::uint64_t> persisted_{0};
  std::atomic<bool> closed_{false};

  mutable std::mutex mutex_;  // what follows; held while a batch is applied
  bool opened_ = false;
  Position shown_before_;  // by any of them, before the last stop
  Position may_show_;      // is on disk, beside the log's durable mark
  std::optional<MonotonicTime> tick_at_;
  std::vector<std::shared_ptr<Kept>> live_;    // all at applied_
  std::vector<std::shared_ptr<Kept>> behind_;  // catching up
  FieldSet fields_;                            // of all that live
  std::uint32_t parsed_fields_ = 0;            // how many of them parsed_ knows
  std::unique_ptr<ParsedBatch> parsed_;
};

}  // namespace tidemill::views
