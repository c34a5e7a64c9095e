// The log's work beside the writing: zero-filling, indexes, the durable mark, snapshots, closing.

#include <algorithm>

#include "storage/base/check.h"
#include "storage/log/log_impl.h"
#include "storage/seam/executor.h"

namespace tidemill {
namespace {

constexpr std::uint64_t kSnapshotSegments = 4;  // so many full segments are read again at a start, at most
constexpr std::chrono::seconds kKeysAgain{10};  // keys that could not be read are tried again after so long

}  // namespace

// Counted, so that close() can wait for it.
void LogImpl::in_background(std::function<void(LogImpl&)> work) {
  {
    std::lock_guard lock(state_mutex_);
    ++background_tasks_;
  }
  env_.background.post([log = shared(), work = std::move(work)] {
    work(*log);
    {
      std::lock_guard lock(log->state_mutex_);
      --log->background_tasks_;
    }
    log->finish_if_idle();
  });
}

// ---- zero-filling

void LogImpl::start_fill() {
  if (const std::uint64_t bytes = writer_.fill_wanted(); bytes != 0) {
    in_background([bytes](LogImpl& log) { log.fill(nullptr, bytes); });
  }
}

// A few MiB at a time, so that others get at the disk and a close need not wait long.
void LogImpl::fill(std::shared_ptr<SegmentFill> fill, std::uint64_t bytes) {
  const auto give_up = [&](const ErrorCode& error) {
    env_.logger.warning("the next segment was not prepared; it will be made when it is needed",
                        {{"directory", directory_}, {"cause", error.message()}});
    writer_.offer_fill(nullptr);
  };
  bool closing = false;
  {
    std::lock_guard lock(state_mutex_);
    closing = closing_;
  }
  if (closing) return writer_.offer_fill(nullptr);
  if (!fill) {
    auto created = SegmentFill::create(env_.files, writer_.fill_path(), bytes);
    if (!created) return give_up(created.error());
    fill = std::move(*created);
  }
  if (auto r = fill->step(); !r) return give_up(r.error());
  if (!fill->filled()) return in_background([fill, bytes](LogImpl& log) { log.fill(fill, bytes); });
  if (auto r = fill->sync(); !r) return give_up(r.error());
  writer_.offer_fill(std::move(fill));
}

// ---- the durable mark

// Under the writer's eyes only: what the mark will say next time it is written.
void LogImpl::remember_durable() {
  std::lock_guard lock(durable_mutex_);
  durable_mark_.incarnation = incarnation_;
  durable_mark_.epoch = writer_.epoch();
  durable_mark_.segment = writer_.segment()->name.id;
  durable_mark_.end = writer_.end();
  durable_mark_.last = Sequence(writer_.next_sequence().value() - 1);
  durable_mark_.checksum = writer_.last_checksum();
  source_ = writer_.source();
}

void LogImpl::schedule_mark() {
  if (mark_scheduled_.exchange(true)) return;
  env_.background.post_after(options_.mark_delay, [log = shared()] {
    log->mark_scheduled_ = false;
    log->refresh_mark(false);
  });
}

Result<void> LogImpl::write_mark(bool flush) {
  std::lock_guard lock(mark_mutex_);
  if (mark_closed_) return {};  // the directory may belong to somebody else by now
  DurableMark mark;
  {
    std::lock_guard durable_lock(durable_mutex_);
    mark = durable_mark_;
  }
  for (std::size_t i = 0; i < kNotesMax; ++i) {
    const std::uint64_t note = notes_[i];
    if (note != kNoNote) mark.notes[i] = Sequence(note);
  }
  return mark_file_->write(mark, flush);
}

void LogImpl::refresh_mark(bool flush) {
  if (auto r = write_mark(flush); !r) {
    env_.logger.warning("the durable mark was not written; it only helps to tell damage from a torn tail",
                        {{"directory", directory_}, {"cause", r.error().message()}});
  }
}

void LogImpl::note(std::uint32_t slot, Sequence sequence) {
  CHECK(slot < kNotesMax);
  notes_[slot] = sequence.value();
  schedule_mark();
}

Result<void> LogImpl::note_durably(std::uint32_t slot, Sequence sequence) {
  CHECK(slot < kNotesMax);
  notes_[slot] = sequence.value();
  return write_mark(true);
}

std::optional<Sequence> LogImpl::noted(std::uint32_t slot) const {
  CHECK(slot < kNotesMax);
  const std::uint64_t note = notes_[slot];
  return note == kNoNote ? std::nullopt : std::optional(Sequence(note));
}

// ---- snapshots of the request window

void LogImpl::start_snapshot_if_due() {
  if (writer_.requests() == snapshotted_requests_) {
    unsnapshotted_bytes_ = 0;  // nothing to find in them
    return;
  }
  const bool due = unsnapshotted_bytes_ >= kSnapshotSegments * options_.segment_bytes_max;
  if (!due && !snapshot_wanted_.load(std::memory_order_relaxed)) return;
  if (options_.request_window == 0 || snapshotting_.exchange(true)) return;
  unsnapshotted_bytes_ = 0;
  snapshotted_requests_ = writer_.requests();
  snapshot_wanted_ = false;
  const SnapshotPoint point{incarnation_, writer_.segment()->name.id, writer_.end(), writer_.requests()};
  const std::uint64_t total = queue_.with_window([](const RequestWindow& w) { return w.total(); });
  in_background([point, total](LogImpl& log) {
    if (auto r = log.write_snapshot(point, total); !r) {
      log.env_.logger.warning(
          "the snapshot of the request window was not written; the next start reads more of the log",
          {{"directory", log.directory_}, {"cause", r.error().message()}});
    } else {
      log.covered_requests_ = point.requests;
    }
    log.snapshotting_ = false;
  });
}

Result<void> LogImpl::write_snapshot(const SnapshotPoint& point, std::uint64_t total) {
  SnapshotWriter writer(env_.files, directory_);
  RETURN_IF_ERROR(writer.begin(point));
  std::vector<StoredRequest> some;
  for (std::uint64_t at = 0; at < total;) {
    some.clear();
    at = queue_.with_window([&](const RequestWindow& w) {
      const std::uint64_t begin = std::max(at, w.oldest());
      return begin < total ? w.copy(begin, total, some) : total;
    });
    if (!some.empty()) RETURN_IF_ERROR(writer.add(some));
  }
  return writer.finish();
}

// ---- keys that the start could not read

void LogImpl::read_keys_later() {
  env_.background.post_after(kKeysAgain, [weak = weak_from_this()] {
    if (const auto log = std::static_pointer_cast<LogImpl>(weak.lock())) {
      log->in_background([](LogImpl& self) { self.read_keys(); });
    }
  });
}

// Until then no keyed request is taken, so what the start was looking for is still all there is.
void LogImpl::read_keys() {
  {
    std::lock_guard lock(state_mutex_);
    if (closing_) return;
  }
  RecoveredRequests found = recover_requests(env_, directory_, *unread_keys_, options_.request_window);
  if (found.unread) return read_keys_later();
  queue_.make_whole(std::move(found.window));
  covered_requests_ = found.covered;
  unread_keys_.reset();
  snapshotting_ = false;
  env_.logger.info("idempotency keys are read back; requests with a key are taken again", {{"stream", options_.name}});
}

// ---- the end

void LogImpl::close(std::function<void()> closed) {
  queue_.close();
  {
    std::lock_guard lock(state_mutex_);
    closing_ = true;
    if (finished_) {
      env_.flush.post(std::move(closed));
      return;
    }
    closed_.push_back(std::move(closed));
  }
  finish_if_idle();
}

void LogImpl::finish_if_idle() {
  {
    std::lock_guard lock(state_mutex_);
    if (!closing_ || finishing_ || background_tasks_ != 0 || !queue_.idle()) return;
    finishing_ = true;
  }
  env_.flush.post([log = shared()] { log->finish(); });
}

void LogImpl::finish() {
  {
    std::lock_guard lock(retention_mutex_);
    retention_closed_ = true;
  }
  writer_.drop_fill();
  refresh_mark(true);
  {
    std::lock_guard lock(mark_mutex_);
    mark_closed_ = true;
  }
  std::vector<std::function<void()>> closed;
  {
    std::lock_guard lock(state_mutex_);
    finished_ = true;
    closed.swap(closed_);
  }
  for (const auto& f : closed) f();
}

}  // namespace tidemill
