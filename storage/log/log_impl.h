#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "storage/log/append_queue.h"
#include "storage/log/listeners.h"
#include "storage/log/log.h"
#include "storage/log/log_reader.h"
#include "storage/log/mark_file.h"
#include "storage/log/pond.h"
#include "storage/log/recovery.h"
#include "storage/log/request_snapshot.h"
#include "storage/log/segment_writer.h"
#include "storage/log/segments.h"
#include "storage/log/start_file.h"
#include "storage/log/tail_cache.h"

namespace tidemill {

// Puts the parts together: who runs when, and in which order things become true.
//
//   append() ─► AppendQueue ─► run(), one at a time on env.flush ─► SegmentWriter (on disk)
//                                └─► Segments, TailCache ─► durable_ ─► listeners ─► sinks
//
// On env.background: zero-filling the next segment, indexes of sealed ones, the durable mark, snapshots of the request
// window. Every task shares the log.
class LogImpl final : public Log {
 public:
  LogImpl(Env& env, std::string directory, const LogOptions& options, RecoveredLog recovered,
          std::unique_ptr<MarkFile> mark);

  void append(Append* append) override;
  Sequence durable() const override { return Sequence(durable_.load(std::memory_order_acquire)); }
  Sequence start() const override { return Sequence(start_.load(std::memory_order_acquire)); }
  LogStatus status() const override;
  LogCut cut() const override;
  std::optional<Sequence> end_of(Epoch epoch) const override;
  const LogMetrics& metrics() const override { return metrics_; }
  std::optional<SourcePosition> source() const override;
  Result<RecordBatch> read(Sequence from, const ReadOptions& options) override;
  Result<Sequence> find(WallTime time) override;
  std::shared_ptr<void> listen(Listener listener) override { return listeners_.add(std::move(listener)); }
  std::shared_ptr<void> listen_in(const HashRange& range, RangeListener listener) override {
    return listeners_.add_in(range, std::move(listener));
  }
  void note(std::uint32_t slot, Sequence sequence) override;
  Result<void> note_durably(std::uint32_t slot, Sequence sequence) override;
  std::optional<Sequence> noted(std::uint32_t slot) const override;
  void close(std::function<void()> closed) override;
  Result<Sequence> retention_start(const RetentionLimits& limits) override;
  Result<Sequence> drop_before(Sequence start) override;

  void started();  // once, when it is shared: the first mark, and a snapshot if one is overdue

 private:
  std::shared_ptr<LogImpl> shared() { return std::static_pointer_cast<LogImpl>(shared_from_this()); }

  // On env.flush, one at a time.
  void start_run();
  void run();
  SegmentWriter::Commit commit(const AppendQueue::Taken& taken);
  void publish(const SegmentWriter::Commit& commit, const Append* appends);
  void failed(const ErrorCode& error);
  void answer(const AppendQueue::Taken& taken, Append* duplicates);
  void sealed();

  // On env.background.
  void in_background(std::function<void(LogImpl&)> work);
  void fill(std::shared_ptr<SegmentFill> fill, std::uint64_t bytes);
  void start_fill();
  void start_snapshot_if_due();
  Result<void> write_snapshot(const SnapshotPoint& point, std::uint64_t total);
  void read_keys_later();
  void read_keys();

  void schedule_mark();
  Result<void> write_mark(bool flush);
  void refresh_mark(bool flush);  // it is a hint: a failure is only said
  void remember_durable();
  void finish_if_idle();
  void finish();

  Env& env_;
  const std::string directory_;
  const LogOptions options_;
  const Incarnation incarnation_;
  const std::shared_ptr<Pond> pond_;
  LogMetrics metrics_;

  std::atomic<std::uint64_t> durable_;
  std::atomic<std::uint64_t> start_;
  std::atomic<std::int64_t> last_time_ms_;
  std::atomic<bool> accepting_{true};
  std::atomic<bool> sealed_{true};
  Segments segments_;
  TailCache cache_;
  LogReader reader_;
  Listeners listeners_;
  AppendQueue queue_;

  // run()'s.
  SegmentWriter writer_;
  FlushTurns::Account turn_;
  struct Chain {
    AppendSink* sink;
    Append* head;
    Append* tail;
  };
  std::vector<Chain> chains_;
  std::vector<HashKey> hashes_;  // of a commit, for those who listen to a range
  std::uint64_t unsnapshotted_bytes_;
  std::uint64_t snapshotted_requests_;

  std::mutex mark_mutex_;  // the file, and the order of its writes
  std::unique_ptr<MarkFile> mark_file_;
  bool mark_closed_ = false;
  mutable std::mutex durable_mutex_;  // durable_mark_, source_
  DurableMark durable_mark_;
  std::optional<SourcePosition> source_;
  std::atomic<bool> mark_scheduled_{false};
  std::atomic<bool> snapshotting_{false};
  static constexpr std::uint64_t kNoNote = ~0ull;
  std::array<std::atomic<std::uint64_t>, kNotesMax> notes_;

  std::optional<RequestSearch> unread_keys_;  // read_keys()'s: where the keys are that the start could not read

  std::mutex retention_mutex_;  // one removal at a time
  StartFile start_file_;
  bool retention_closed_ = false;
  std::atomic<std::uint64_t> covered_requests_;  // keyed requests up to this one are in a snapshot on disk
  std::atomic<bool> snapshot_wanted_{false};     // retention waits for one

  mutable std::mutex state_mutex_;  // what follows
  std::uint64_t background_tasks_ = 0;
  bool closing_ = false;
  bool finishing_ = false;
  bool finished_ = false;
  std::vector<std::function<void()>> closed_;
};

}  // namespace tidemill
