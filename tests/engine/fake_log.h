#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/stream.h"
#include "storage/base/errors.h"
#include "storage/log/log.h"
#include "storage/seam/clock.h"
#include "storage/seam/executor.h"

namespace tidemill {

// A log in memory, for tests of what stands above one: appends become durable a task on env.flush later. Ends of
// epochs, retention, lost ranges and failing calls are what the test says.
class FakeLog final : public Log {
 public:
  explicit FakeLog(Env& env) : env_(env) {}

  // For tests: one record of its own, durable when the queue has run.
  void put(std::string_view key, std::string_view data) {
    struct Own final : AppendSink {
      void appended(Append*) noexcept override { delete this; }
      std::string key, data;
      NewRecord record;
      Append append;
    };
    auto* own = new Own;
    own->key = key;
    own->data = data;
    own->record.key = own->key;
    own->record.hash = hash_key(own->key);
    own->record.data = own->data;
    own->record.arrival = env_.clock.wall();
    own->append.records = {&own->record, 1};
    own->append.sink = own;
    append(&own->append);
  }
  void fail_flushes(int n, ErrorCode error) { failing_flushes_ = {n, error}; }
  void fail_reads(int n, ErrorCode error) { failing_reads_ = {n, error}; }
  void remove_before(Sequence start) { start_ = start; }
  void lose(Sequence first, Sequence last) { lost_.push_back({first, last, "segment-1", ByteOffset(4096)}); }
  void raise_epoch(Sequence end) {
    ends_[epoch_] = end;
    epoch_ = Epoch(epoch_.value() + 1);
  }
  std::size_t reads() const { return reads_; }

  void append(Append* append) override {
    env_.flush.post([this, self = shared_from_this(), append] { flush(append); });
  }
  Sequence durable() const override {
    const std::lock_guard lock(mutex_);
    return Sequence(records_.size());
  }
  Sequence start() const override { return start_; }
  LogStatus status() const override {
    LogStatus status;
    status.incarnation = Incarnation(77);
    status.epoch = epoch_;
    status.start = start_;
    status.durable = durable();
    return status;
  }
  LogCut cut() const override { return {Incarnation(77), epoch_, start_, durable(), {}, {}}; }
  std::optional<Sequence> end_of(Epoch epoch) const override {
    if (epoch == epoch_) return durable();
    const auto it = ends_.find(epoch);
    return it == ends_.end() ? std::nullopt : std::optional(it->second);
  }
  const LogMetrics& metrics() const override { return metrics_; }

  Result<RecordBatch> read(Sequence from, const ReadOptions& options) override {
    const std::lock_guard lock(mutex_);
    ++reads_;
    if (failing_reads_.first > 0) {
      --failing_reads_.first;
      return failing_reads_.second;
    }
    if (from < start_) return StorageErrc::before_start;
    if (from.value() > records_.size() + 1) return StorageErrc::beyond_end;
    RecordBatch batch;
    batch.next = from;
    std::uint64_t bytes = 0;
    while (batch.next.value() <= records_.size() && batch.records.size() < options.records_max &&
           bytes < options.bytes_max) {
      const auto lost = std::find_if(lost_.begin(), lost_.end(),
                                     [&](const LostRange& l) { return l.first <= batch.next && batch.next <= l.last; });
      if (lost != lost_.end()) {
        batch.lost.push_back(*lost);
        batch.next = next(lost->last);
        continue;
      }
      const Record& record = records_[batch.next.value() - 1].record;
      if (options.range.contains(record.hash)) batch.records.push_back(record);
      bytes += record.data.size();
      batch.next = next(batch.next);
    }
    return batch;
  }
  Result<Sequence> find(WallTime) override { return StorageErrc::invalid_argument; }
  Result<Sequence> retention_start(const RetentionLimits&) override { return start(); }
  Result<Sequence> drop_before(Sequence) override { return start(); }

  std::shared_ptr<void> listen(Listener listener) override {
    const std::lock_guard lock(mutex_);
    const int id = next_listener_++;
    listeners_[id] = std::move(listener);
    return {nullptr, [this, self = shared_from_this(), id](void*) {
              const std::lock_guard forget(mutex_);
              listeners_.erase(id);
            }};
  }
  std::shared_ptr<void> listen_in(const HashRange&, RangeListener listener) override {
    return listen([listener = std::move(listener)](Sequence durable) { listener(Sequence(1), durable); });
  }
  std::size_t listeners() const { return listeners_.size(); }

  void note(std::uint32_t, Sequence) override {}
  Result<void> note_durably(std::uint32_t, Sequence) override { return {}; }
  std::optional<Sequence> noted(std::uint32_t) const override { return std::nullopt; }
  void close(std::function<void()> closed) override { env_.flush.post(std::move(closed)); }

 private:
  struct Kept {
    std::string key, headers, data;
    Record record;
  };

  void flush(Append* append) {
    std::vector<Listener> call;
    if (failing_flushes_.first > 0) {
      --failing_flushes_.first;
      append->error = failing_flushes_.second;
    } else {
      const std::lock_guard lock(mutex_);
      append->first = Sequence(records_.size() + 1);
      append->epoch = epoch_;
      append->accepted = static_cast<std::uint32_t>(append->records.size());
      for (const NewRecord& r : append->records) {
        Kept& kept = records_.emplace_back();
        kept.key = r.key;
        kept.headers = r.headers;
        kept.data = r.data;
        kept.record = {Sequence(records_.size()),
                       r.hash,
                       r.explicit_hash,
                       r.content,
                       r.arrival,
                       kept.key,
                       kept.headers,
                       kept.data};
      }
      for (const auto& [id, listener] : listeners_) call.push_back(listener);
    }
    for (const Listener& listener : call) listener(durable());
    append->sink->appended(append);
  }

  Env& env_;
  mutable std::mutex mutex_;
  std::deque<Kept> records_;
  std::map<int, Listener> listeners_;
  int next_listener_ = 0;
  Sequence start_{1};
  Epoch epoch_{1};
  std::map<Epoch, Sequence> ends_;
  std::vector<LostRange> lost_;
  std::pair<int, ErrorCode> failing_flushes_, failing_reads_;
  std::size_t reads_ = 0;
  LogMetrics metrics_;
};

}  // namespace tidemill
