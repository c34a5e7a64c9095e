#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "engine/group.h"
#include "engine/serial.h"

namespace tidemill {

// What the two kinds of groups share: waking on commits, the error that is shown, closing. Behind Groups only.
class GroupRunner : public Serial {
 public:
  // `gather`: how long after a run new commits wait for more of them, so that one run is for all.
  GroupRunner(Env& env, std::string name, std::shared_ptr<Stream> stream, std::chrono::microseconds gather);

  Result<void> open();               // blocks; then start()
  void open_later(ErrorCode error);  // after open() failed: it is tried again, from start() on
  void start();
  // Any thread. Lets what runs come to its end, closes the consumer and calls `closed` on env.background.
  void close(std::function<void(Result<void>)> closed);
  // The owner goes without closing (a start that failed, a crash in a test): nothing is called any more.
  void abandon();

  void note_position();  // any thread
  GroupStatus status() const;
  const Stream& stream() const { return *stream_; }
  QualifiedName qualified_name() const { return {stream_->tenant(), name_}; }

 protected:
  static constexpr std::chrono::milliseconds kPauseMin{100};
  static constexpr std::chrono::milliseconds kPauseMax{30'000};
  static constexpr std::uint32_t kBatchRecords = 10'000;
  static constexpr std::uint64_t kBatchBytes = 4 << 20;

  // Retries of one thing: growing pauses, from the first error to the next success.
  struct Retry {
    std::chrono::milliseconds pause{0};
    MonotonicTime at{};
    bool waiting(MonotonicTime now) const { return pause.count() != 0 && now < at; }
    void failed(MonotonicTime now) {
      pause = pause.count() == 0 ? kPauseMin : std::min(pause * 2, kPauseMax);
      at = now + pause;
    }
  };

  // The next batch, empty when there is none. Records that retention took away come as a lost range. While shards are
  // being changed nothing is read beyond where they change.
  Result<RecordBatch> read(Sequence from, HashRange range = {}, std::uint64_t bytes_max = kBatchBytes) const;

  void failed(std::string_view doing, ErrorCode error);
  void succeeded();  // after failed() of the same thing, once nothing else fails

  virtual Result<void> open_consumer() = 0;  // from the beginning, whatever an earlier attempt left
  virtual void let_go() = 0;                 // of the consumer
  virtual void fill(GroupStatus& status) const = 0;
  virtual void run_closing() = 0;                         // on env.background; ends with closed_with()
  bool is_to_note() { return to_note_.exchange(false); }  // once for each note_position()
  void closed_with(Result<void> result);
  bool closing() const { return closing_.load(); }

  void run() final;
  virtual void run_open() = 0;

  const std::string name_;
  const std::shared_ptr<Stream> stream_;

 private:
  void published();
  bool is_open(MonotonicTime now);

  const std::chrono::microseconds gather_;
  Retry open_retry_;
  std::atomic<bool> open_{false};
  std::atomic<bool> closing_{false};
  std::atomic<bool> abandoned_{false};
  std::atomic<bool> to_note_{false};
  std::atomic<MonotonicTime> last_run_{MonotonicTime::min()};
  std::shared_ptr<void> listener_;

  mutable std::mutex mutex_;
  std::function<void(Result<void>)> closed_;
  bool finished_ = false;
  std::string last_error_;
  WallTime last_error_time_{};
  std::uint64_t retries_ = 0;
};

std::shared_ptr<GroupRunner> make_stream_group(Env& env, std::string name, std::shared_ptr<Stream> stream,
                                               std::shared_ptr<Consumer> consumer);
std::shared_ptr<GroupRunner> make_sharded_group(Env& env, std::string name, std::shared_ptr<Stream> stream,
                                                std::shared_ptr<ShardedConsumer> consumer);

}  // namespace tidemill
