#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "consumers/views/upkeep.h"
#include "consumers/views/view.h"
#include "consumers/views/waiters.h"
#include "engine/consumer.h"
#include "engine/stream.h"

namespace tidemill::views {

// A view and where it stands. Made by the catalog; written by the stream's consumer; read by everybody.
class LiveView {
 public:
  LiveView(std::shared_ptr<const View> v, Position shown_before)
      : view(std::move(v)), waiters(std::make_shared<Waiters>()), shown_before(shown_before) {}

  const std::shared_ptr<const View> view;
  const std::shared_ptr<Waiters> waiters;  // knows what is applied
  const Position shown_before;             // to readers, before the last stop
  std::atomic<std::uint64_t> persisted{0};
  std::atomic<std::uint64_t> since{1};
  std::atomic<std::uint64_t> rows{0};
  std::atomic<std::uint64_t> parked{0};
  std::atomic<std::int64_t> applied_time_ms{0};
  std::atomic<bool> dropped{false};

  Position applied() const { return waiters->reached(); }
  bool ready() const { return shown_before <= applied(); }
};

struct StreamViewsMetrics {
  Counter records, batches, rows_written, lost_records;
  Histogram batch_us{kLatencyBoundsUs};
  Histogram visible_us{kLatencyBoundsUs};  // arrival of a record to visible in the views
};

// Keeps all views of one stream: one group, one reading, each record parsed once for all of them, each view with a
// checkpoint of its own. Owned by the group's runtime and the catalog.
//
// A view that is behind the others (new, or set back further by a crash) catches up by itself, in slices on
// env.background, and joins when it has reached them, so that the others stay as fresh as they are.
class StreamViews final : public Consumer, public std::enable_shared_from_this<StreamViews> {
 public:
  StreamViews(Env& env, Database& database, std::shared_ptr<Stream> stream, std::uint64_t cache_bytes);

  // Starts keeping it up to date; readers see what it has at once. Blocks on the disk.
  SqlResult<bool> add(std::shared_ptr<LiveView> view);
  void remove(const std::string& name);
  bool empty() const;
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
  };

  Result<void> apply(Kept& kept, const ParsedBatch& parsed, Position through);
  Result<void> flush_if_due(Kept& kept, bool all);
  void see_persisted(Kept& kept);
  void parse(const RecordBatch& batch);
  void start_catching_up(std::shared_ptr<Kept> kept, std::shared_ptr<FieldSet> fields);
  void catch_up(std::shared_ptr<Kept> kept, std::shared_ptr<FieldSet> fields);
  void report(const RecordBatch& batch);

  Env& env_;
  Database& database_;
  const std::shared_ptr<Stream> stream_;
  const std::uint64_t cache_bytes_;
  StreamViewsMetrics metrics_;
  std::atomic<std::uint64_t> applied_{0};
  std::atomic<std::uint64_t> persisted_{0};

  mutable std::mutex mutex_;  // what follows; held while a batch is applied
  bool opened_ = false;
  bool closed_ = false;
  std::vector<std::shared_ptr<Kept>> live_;    // all at applied_
  std::vector<std::shared_ptr<Kept>> behind_;  // catching up
  FieldSet fields_;                            // of all that live
  std::uint32_t parsed_fields_ = 0;            // how many of them parsed_ knows
  std::unique_ptr<ParsedBatch> parsed_;
};

}  // namespace tidemill::views
