#include "storage/log/log_impl.h"

#include <algorithm>

#include "storage/base/check.h"
#include "storage/base/errors.h"
#include "storage/log/block.h"
#include "storage/seam/clock.h"
#include "storage/seam/executor.h"

namespace tidemill {
namespace {

Pond::Options own_pond(const LogOptions& options) {
  constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 60;
  return {.in_flight_bytes_max = kNoLimit, .tail_bytes_max = options.tail_cache_bytes, .requests_bytes_max = kNoLimit};
}

}  // namespace

Result<std::shared_ptr<Log>> Log::open(Env& env, const std::string& directory, const LogOptions& options) {
  RETURN_IF_ERROR(create_directories(env.files, directory));
  auto mark = std::make_unique<MarkFile>(env.files, directory);
  const MonotonicTime began = env.clock.monotonic();
  ASSIGN_OR_RETURN(auto recovered, recover_log(env, directory, options, *mark));
  if (const auto& unread = recovered.answers.unread) {
    env.logger.error("idempotency keys of before cannot be read back; until they can, requests with a key are refused",
                     {{"stream", options.name},
                      {"file", unread->file},
                      {"cause", unread->cause.message()},
                      {"remedy",
                       "it is tried again by itself; where the disk stays unable to read the file, move the data to a "
                       "good one (Failing disk in docs/operations.md)"}});
  }
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(env.clock.monotonic() - began);
  env.logger.info("log opened", {{"stream", options.name},
                                 {"directory", directory},
                                 {"durable", std::to_string(recovered.next.value() - 1)},
                                 {"epoch", std::to_string(recovered.segments.active->header.epoch.value())},
                                 {"segments", std::to_string(recovered.segments.names.size())},
                                 {"torn_tail", recovered.torn_tail ? "dropped" : "none"},
                                 {"lost_ranges", std::to_string(recovered.segments.damage.size())},
                                 {"took_ms", std::to_string(took.count())}});
  auto log = std::make_shared<LogImpl>(env, directory, options, std::move(recovered), std::move(mark));
  log->started();
  return std::shared_ptr<Log>(std::move(log));
}

LogImpl::LogImpl(Env& env, std::string directory, const LogOptions& options, RecoveredLog recovered,
                 std::unique_ptr<MarkFile> mark)
    : env_(env),
      directory_(std::move(directory)),
      options_(options),
      incarnation_(recovered.segments.active->header.incarnation),
      pond_(options.pond ? options.pond : std::make_shared<Pond>(own_pond(options))),
      durable_(recovered.next.value() - 1),
      start_(recovered.log_start.value()),
      last_time_ms_(recovered.running_max.time_since_epoch().count()),
      segments_(env, directory_, recovered.segments),
      cache_(pond_->tails),
      reader_(segments_, cache_, metrics_),
      queue_(options, pond_->in_flight, std::move(recovered.answers.window), !recovered.answers.unread),
      writer_(env, directory_, options, recovered),
      unsnapshotted_bytes_(recovered.answers.unsnapshotted_bytes),
      snapshotted_requests_(recovered.answers.unsnapshotted_bytes == 0 ? recovered.requests : 0),
      mark_file_(std::move(mark)),
      start_file_(std::move(recovered.start_file)),
      covered_requests_(recovered.answers.covered) {
  for (std::size_t i = 0; i < kNotesMax; ++i) {
    notes_[i] = recovered.notes[i] ? recovered.notes[i]->value() : kNoNote;
  }
  if (recovered.answers.unread) {
    // As the log is now: its last commit has moved to a segment of this life.
    unread_keys_ = {incarnation_, recovered.segments.names, recovered.segments.active, recovered.segments.end,
                    recovered.requests};
    snapshotting_ = true;  // until they are read
  }
  remember_durable();
}

void LogImpl::started() {
  // Told under the locks of another log's window: only posts.
  auto give_way = [weak = weak_from_this(), &background = env_.background] {
    background.post([weak] {
      if (const auto log = std::static_pointer_cast<LogImpl>(weak.lock())) log->queue_.window_gives_way();
    });
  };
  queue_.share_window(pond_->requests.open(options_.name, std::move(give_way)), env_.clock.monotonic());
  refresh_mark(true);
  start_snapshot_if_due();
  if (unread_keys_) read_keys_later();
}

// ---- the writer

void LogImpl::append(Append* append) {
  append->queued_at = env_.clock.monotonic();
  switch (queue_.add(append, writer_.epoch())) {
    case AppendQueue::Added::answered:
      if (append->replayed) metrics_.replayed.add();
      if (append->error == StorageErrc::throttled) metrics_.throttled.add();
      append->sink->appended(append);
      return;
    case AppendQueue::Added::waits:
      return;
    case AppendQueue::Added::start:
      start_run();
      return;
  }
}

void LogImpl::start_run() {
  pond_->turns.post(env_.flush, turn_, [log = shared()] { log->run(); });
}

// Written, flushed and published; or not, and commit.error says why.
SegmentWriter::Commit LogImpl::commit(const AppendQueue::Taken& taken) {
  auto encoder = pond_->borrow_encoder();
  SegmentWriter::Commit commit = writer_.write(taken.head, *encoder);
  if (const auto seal = writer_.take_seal()) {
    segments_.rolled(seal);
    sealed();
  }
  if (commit.error) {
    failed(commit.error);
  } else {
    if (commit.rolled) segments_.rolled(writer_.segment());
    publish(commit, taken.head);
    if (commit.rolled) sealed();
  }
  pond_->give_back(std::move(encoder));
  commit.encoded = {};
  return commit;
}

void LogImpl::run() {
  const AppendQueue::Taken taken = queue_.take();
  metrics_.queued_bytes.set(static_cast<std::int64_t>(queue_.queued_bytes()));
  const MonotonicTime now = env_.clock.monotonic();
  for (const Append* a = taken.head; a != nullptr; a = a->next_queued) {
    const auto waited = std::chrono::duration_cast<std::chrono::microseconds>(now - a->queued_at).count();
    metrics_.queue_us.observe(static_cast<std::uint64_t>(std::max<std::int64_t>(0, waited)));
  }

  Sequence at = writer_.next_sequence();
  // What queued before it was known that nothing more is taken is refused here.
  const ErrorCode error = writer_.accepting() ? commit(taken).error : make_error_code(StorageErrc::not_accepting);
  const Epoch epoch = writer_.epoch();
  sealed_ = writer_.sealed();
  for (Append* a = taken.head; a != nullptr; a = a->next_queued) {
    a->error = error;
    a->epoch = epoch;
    if (error) continue;
    a->accepted = static_cast<std::uint32_t>(a->records.size());
    a->first = a->accepted != 0 ? at : Sequence();
    at = next(at, a->accepted);
  }
  Append* const duplicates = queue_.settle(taken, env_.clock.monotonic());
  metrics_.queued_bytes.set(static_cast<std::int64_t>(queue_.queued_bytes()));
  start_snapshot_if_due();
  answer(taken, duplicates);
  // One commit a task: other streams get their turn.
  pond_->turns.charge(turn_, taken.bytes);
  if (queue_.more()) {
    start_run();
  } else {
    finish_if_idle();
  }
}

// The commit is on disk. Readers' structures first, the durable sequence then, and only then anybody is told.
void LogImpl::publish(const SegmentWriter::Commit& commit, const Append* appends) {
  const CommitHeader& h = commit.encoded.header;
  segments_.published({h.first, h.count, h.hash_mask, commit.offset, h.running_max}, commit.end);
  if (h.count != 0) cache_.add(Block::copy_of(h, commit.encoded.raw));
  last_time_ms_.store(h.running_max.time_since_epoch().count(), std::memory_order_relaxed);
  durable_.store(h.end().value() - 1, std::memory_order_release);
  remember_durable();
  unsnapshotted_bytes_ += h.length;

  metrics_.commits.add();
  metrics_.commit_bytes.add(h.length);
  metrics_.records.add(h.count);
  std::uint64_t raw = 0;
  for (std::size_t i = 0; i < h.lanes; ++i) raw += h.lane[i].raw;
  metrics_.record_bytes.add(raw);
  if (h.count != 0) metrics_.records_per_commit.observe(h.count);
  const auto flush_us = std::chrono::duration_cast<std::chrono::microseconds>(commit.flush_time).count();
  metrics_.flush_us.observe(static_cast<std::uint64_t>(std::max<std::int64_t>(0, flush_us)));

  if (commit.rolled) in_background([](LogImpl& log) { log.refresh_mark(true); });
  schedule_mark();
  listeners_.call(h.first, Sequence(h.end().value() - 1), [&] {
    hashes_.clear();
    for (const Append* a = appends; a != nullptr; a = a->next_queued)
      for (const NewRecord& r : a->records) hashes_.push_back(r.hash);
    std::sort(hashes_.begin(), hashes_.end());
    return std::span<const HashKey>(hashes_);
  });
  start_fill();
}

void LogImpl::failed(const ErrorCode& error) {
  if (error == StorageErrc::flush_failed) metrics_.flush_failures.add();
  if (!writer_.accepting()) {
    accepting_ = false;
    queue_.refuse(make_error_code(StorageErrc::not_accepting));
  }
}

// Each sink is called once, with all that is its.
void LogImpl::answer(const AppendQueue::Taken& taken, Append* duplicates) {
  chains_.clear();
  const auto link = [&](Append* list) {
    for (Append* a = list; a != nullptr;) {
      Append* const next = a->next_queued;
      a->next_queued = a->next_done = nullptr;
      if (a->replayed) metrics_.replayed.add();
      auto chain = std::find_if(chains_.begin(), chains_.end(), [&](const Chain& c) { return c.sink == a->sink; });
      if (chain == chains_.end()) {
        chains_.push_back({a->sink, a, a});
      } else {
        chain->tail->next_done = a;
        chain->tail = a;
      }
      a = next;
    }
  };
  link(taken.head);
  link(duplicates);
  for (const Chain& c : chains_) c.sink->appended(c.head);
}

// A segment has a successor.
void LogImpl::sealed() {
  remember_durable();
  in_background([](LogImpl& log) { log.segments_.write_indexes(); });
}

// ---- readers

std::optional<SourcePosition> LogImpl::source() const {
  const std::lock_guard lock(durable_mutex_);
  return source_;
}

Result<RecordBatch> LogImpl::read(Sequence from, const ReadOptions& options) {
  const Sequence end = durable();
  if (from < start()) return make_error_code(StorageErrc::before_start);
  if (from > next(end)) return make_error_code(StorageErrc::beyond_end);
  return reader_.read(from, end, options);
}

Result<Sequence> LogImpl::find(WallTime time) {
  const Sequence beyond = next(durable());
  for (;;) {
    const Sequence begin = start();
    auto found = segments_.find(time, begin, beyond);
    // Retention may have passed by: then what it was searching is gone, and there is a later start.
    if (found || begin == start()) return found;
  }
}

LogStatus LogImpl::status() const {
  LogStatus s;
  s.incarnation = incarnation_;
  s.epoch = writer_.epoch();
  s.start = start();
  s.durable = durable();
  s.last_time = WallTime(std::chrono::milliseconds(last_time_ms_.load(std::memory_order_relaxed)));
  s.bytes = segments_.bytes();
  s.segments = segments_.count();
  s.accepting = accepting_;
  s.sealed = sealed_;
  s.damage = segments_.damage();
  return s;
}

LogCut LogImpl::cut() const {
  LogCut cut = segments_.cut();
  cut.incarnation = incarnation_;
  cut.start = start();
  return cut;
}

std::optional<Sequence> LogImpl::end_of(Epoch epoch) const {
  const auto epochs = writer_.epochs();
  const Epoch present = writer_.epoch();
  if (epoch.value() == 0 || epoch > present) return std::nullopt;
  for (const EpochStart& e : epochs) {
    if (e.epoch > epoch) return Sequence(e.start.value() - 1);
  }
  return durable();
}

}  // namespace tidemill
