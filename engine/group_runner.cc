#include "engine/group_runner.h"

#include <utility>

#include "engine/cut.h"
#include "engine/lag.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/seam/clock.h"

namespace tidemill {

GroupRunner::GroupRunner(Env& env, std::string name, std::shared_ptr<Stream> stream, std::chrono::microseconds gather)
    : Serial(env), name_(std::move(name)), stream_(std::move(stream)), gather_(gather) {}

Result<void> GroupRunner::open() {
  auto opened = open_consumer();
  open_ = opened.has_value();
  return opened;
}

void GroupRunner::open_later(ErrorCode error) {
  open_retry_.failed(env_.clock.monotonic());
  failed("opening", error);
}

// Whether there is something to run; tries again when it is time to.
bool GroupRunner::is_open(MonotonicTime now) {
  if (open_.load()) return true;
  if (!open_retry_.waiting(now)) {
    const auto opened = open();
    if (opened) {
      succeeded();
      return true;
    }
    open_later(opened.error());
  }
  wake_at(open_retry_.at);
  return false;
}

void GroupRunner::start() {
  published();
  listener_ = stream_->log().listen([weak = weak()](Sequence) {
    if (const auto self = weak.lock()) static_cast<GroupRunner&>(*self).published();
  });
}

void GroupRunner::published() {
  // At once after a quiet time; else gathering what several commits bring.
  const MonotonicTime due = last_run_.load() + gather_;
  if (env_.clock.monotonic() < due)
    wake_at(due);
  else
    wake();
}

void GroupRunner::close(std::function<void(Result<void>)> closed) {
  {
    const std::lock_guard lock(mutex_);
    closed_ = std::move(closed);
  }
  closing_.store(true);
  wake();
}

void GroupRunner::note_position() {
  to_note_.store(true);
  wake();
}

void GroupRunner::abandon() {
  abandoned_.store(true);
  listener_.reset();
}

void GroupRunner::run() {
  if (abandoned_.load()) return;
  if (!closing()) {
    if (is_open(env_.clock.monotonic())) run_open();
    return last_run_.store(env_.clock.monotonic());
  }
  {
    const std::lock_guard lock(mutex_);
    if (finished_) return;
  }
  if (open_.load()) return run_closing();
  let_go();
  closed_with({});
}

void GroupRunner::closed_with(Result<void> result) {
  listener_.reset();
  if (!result)
    env_.logger.error("a group did not close cleanly; what it has not made durable, the next start does again",
                      {{"group", text_of(qualified_name())}, {"error", result.error().message()}});
  std::function<void(Result<void>)> closed;
  {
    const std::lock_guard lock(mutex_);
    finished_ = true;
    closed = std::move(closed_);
  }
  closed(std::move(result));
}

Result<RecordBatch> GroupRunner::read(Sequence from, HashRange range, std::uint64_t bytes_max) const {
  Log& log = stream_->log();
  if (from > log.durable()) {
    // A checkpoint beyond the log is not "caught up": the log lost its end, or is another one.
    if (from > next(log.durable())) return StorageErrc::beyond_end;
    RecordBatch none;
    none.next = from;
    return none;
  }
  ReadOptions options;
  options.range = range;
  options.records_max = kBatchRecords;
  options.bytes_max = bytes_max;
  auto batch = log.read(from, options);
  if (batch) {
    // Asked after reading: a change that is proposed later begins behind all of this.
    cut(*batch, from, stream_->shards().now().settled);
    return batch;
  }
  if (batch.error() != StorageErrc::before_start) return batch;
  const Sequence start = log.start();
  RecordBatch lost;
  lost.lost.push_back({from, Sequence(start.value() - 1), "removed by retention", ByteOffset(0)});
  lost.next = start;
  return lost;
}

void GroupRunner::failed(std::string_view doing, ErrorCode error) {
  const std::string text = std::string(doing) + ": " + error.message();
  {
    const std::lock_guard lock(mutex_);
    last_error_ = text;
    last_error_time_ = env_.clock.wall();
    ++retries_;
  }
  env_.logger.warning("a group cannot go on and will try again",
                      {{"group", text_of(qualified_name())}, {"error", text}});
}

void GroupRunner::succeeded() {
  {
    const std::lock_guard lock(mutex_);
    if (last_error_.empty()) return;
    last_error_.clear();
  }
  env_.logger.info("a group goes on", {{"group", text_of(qualified_name())}});
}

GroupStatus GroupRunner::status() const {
  GroupStatus status;
  status.tenant = stream_->tenant();
  status.name = name_;
  status.stream = stream_->name();
  status.stream_id = stream_->definition().id;
  status.consumer = name_.substr(name_.find(':') + 1);
  status.durable = stream_->log().durable();
  if (open_.load()) {
    status.open = true;
    fill(status);
  } else {  // nobody knows how far it is
    status.lag_records = status.durable.value();
    status.lag_seconds = lag_seconds(stream_->log(), env_.clock, Sequence(1));
  }
  const std::lock_guard lock(mutex_);
  status.last_error = last_error_;
  status.last_error_time = last_error_time_;
  status.retries = retries_;
  return status;
}

}  // namespace tidemill
