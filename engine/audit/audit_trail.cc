#include "engine/audit/audit_trail.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/audit/audit_events.h"
#include "engine/engine.h"
#include "engine/serial.h"
#include "storage/base/check.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/seam/clock.h"
#include "storage/seam/executor.h"

namespace tidemill {
namespace {

using namespace std::chrono_literals;

constexpr auto kGatherFor = 1s;
constexpr auto kPeriod = 1h;
constexpr auto kRetentionEvery = 1min;
constexpr std::size_t kUsersMax = 4'096;  // keys with an address each, of one period and all tenants
constexpr auto kClockJumpMax = 1min;

// Gathers, and writes what was gathered: one append is on its way at a time, and meanwhile it goes on gathering, in
// bounded memory. run() is Serial's, never twice at the same time; all without a lock is run()'s own.
class Writer final : public Serial, public AppendSink {
 public:
  Writer(Env& env, Engine& engine, const AuditTrail::Options& options)
      : Serial(env),
        engine_(engine),
        options_(options),
        wall_at_start_(env.clock.wall()),
        monotonic_at_start_(env.clock.monotonic()) {}

  AuditGather gather;
  AuditMetrics metrics;

  void open() {
    const std::lock_guard lock(mutex_);
    take_log(engine_.audit_log(false));
    if (log_) resume();
  }
  void noted(bool first) {
    if (first) wake_at(env_.clock.monotonic() + kGatherFor);
  }
  bool ended() const { return ended_; }
  // All that was noted before, written or given up: `done` is set then.
  void flush(std::shared_ptr<Signal> done, bool end) {
    {
      const std::lock_guard lock(flush_mutex_);
      flushes_.push_back(std::move(done));
    }
    if (end) ended_ = true;
    wake();
  }
  std::shared_ptr<Log> log() const {
    const std::lock_guard lock(mutex_);
    return log_;
  }
  ChainHead head() const {
    const std::lock_guard lock(mutex_);
    return chain_.head();
  }

 private:
  void run() override;
  void appended(Append*) noexcept override {
    const auto self = shared_from_this();  // from here on nobody else may hold it
    written_ = true;
    wake();
  }
  void finish();
  void write(std::vector<AuditEvent> events);
  std::vector<AuditEvent> collect(bool whole);
  void merge(AuditGather::Gathered& gathered, std::vector<AuditEvent>& events);
  void end_period(std::vector<AuditEvent>& events);
  bool ready();
  bool resume();
  void take_log(Result<std::shared_ptr<Log>> opened);
  void give_up(const ErrorCode& error, const std::vector<AuditEvent>& events);
  void retain();

  Engine& engine_;
  const AuditTrail::Options options_;
  const WallTime wall_at_start_;
  const MonotonicTime monotonic_at_start_;
  std::atomic<bool> ended_{false};

  mutable std::mutex mutex_;  // the two below, for who asks
  std::shared_ptr<Log> log_;
  Chain chain_;
  bool resumed_ = false;

  using Users = FairTable<AuditGather::User, AuditTimes>;
  Users users_{kUsersMax, kUsersMax};  // of this period; the times not yet in an event
  MonotonicTime period_end_{};
  AuditTimes lost_;
  bool failing_ = false;
  bool parted_ = false;
  MonotonicTime next_retention_{};

  // The append on its way.
  bool in_flight_ = false;
  std::atomic<bool> written_{false};
  std::vector<AuditEvent> events_;
  std::vector<std::string> headers_;
  std::vector<NewRecord> records_;
  Append append_;
  std::shared_ptr<Serial> self_;

  std::mutex flush_mutex_;
  std::vector<std::shared_ptr<Signal>> flushes_;   // who waits for what was noted before
  std::vector<std::shared_ptr<Signal>> flushing_;  // whose notes are in what is being written
};

void Writer::run() {
  if (in_flight_) {
    if (!written_.load()) return;  // it wakes this again
    finish();
  }
  for (const auto& done : std::exchange(flushing_, {})) done->set();
  {
    const std::lock_guard lock(flush_mutex_);
    flushing_ = std::exchange(flushes_, {});
  }
  const bool whole = !flushing_.empty();
  auto events = collect(whole);
  if (!users_.empty()) wake_at(period_end_);
  if (events.empty()) {
    for (const auto& done : std::exchange(flushing_, {})) done->set();
    return retain();
  }
  write(std::move(events));
  // Who began to wait meanwhile, and who waits for this where it failed at once.
  if (!in_flight_) wake();
}

std::vector<AuditEvent> Writer::collect(bool whole) {
  AuditGather::Gathered gathered = gather.take();
  std::vector<AuditEvent> events;
  merge(gathered, events);
  for (AuditEvent& event : events_of(gathered)) events.push_back(std::move(event));
  if (!users_.empty() && (whole || env_.clock.monotonic() >= period_end_)) end_period(events);
  return events;
}

// What is left in `gathered` is said now: keys that were not here before in this period. `events`: what was counted of
// keys that make room for another tenant's.
void Writer::merge(AuditGather::Gathered& gathered, std::vector<AuditEvent>& events) {
  if (users_.empty()) period_end_ = env_.clock.monotonic() + kPeriod;
  const auto gone = [&](const std::string& tenant, const AuditGather::User& user, const AuditTimes& times) {
    if (times.count != 0) events.push_back(accepted_event(user, {tenant, times}));
  };
  for (auto it = gathered.accepted.begin(); it != gathered.accepted.end();) {
    const auto& [user, used] = *it;
    if (AuditTimes* known = users_.find(used.tenant, user)) {
      known->add(used.times);
    } else if (users_.room(used.tenant, gone)) {
      users_.add(used.tenant, user);
      ++it;
      continue;
    } else {
      gathered.beyond.add({AuditSum::Of::accepted, used.tenant, {}}, used.times);
    }
    it = gathered.accepted.erase(it);
  }
}

void Writer::end_period(std::vector<AuditEvent>& events) {
  for (auto& [tenant, users] : users_.tenants()) {
    for (auto& [user, times] : users) {
      if (times.count == 0) continue;
      events.push_back(accepted_event(user, {tenant, times}));
      times = {};
    }
  }
  if (env_.clock.monotonic() >= period_end_) users_.take();
}

void Writer::take_log(Result<std::shared_ptr<Log>> opened) {
  if (opened) {
    log_ = std::move(*opened);
    return;
  }
  if (opened.error() != EngineErrc::draining && !std::exchange(failing_, true))
    env_.logger.error("the audit trail cannot be opened; what it would say is counted in tidemill_audit_lost_total",
                      {{"cause", opened.error().message()}});
}

// Where the chain goes on: the last record says what is before it.
bool Writer::resume() {
  if (resumed_) return true;
  const Sequence last = log_->durable();
  if (last >= log_->start()) {
    const auto batch = log_->read(last, {});
    if (!batch) return false;
    if (batch->records.empty()) {
      chain_.lost(last);  // it is known to be damaged: the next begins anew, and verify says why
    } else {
      chain_.lost(Sequence(last.value() - 1));
      chain_.add(batch->records.back());
    }
  } else if (last != Sequence()) {
    chain_.lost(last);
  }
  return resumed_ = true;
}

bool Writer::ready() {
  const std::lock_guard lock(mutex_);
  if (!log_) take_log(engine_.audit_log(true));
  return log_ && resume();
}

void Writer::write(std::vector<AuditEvent> events) {
  if (!ready()) return give_up(make_error_code(StorageErrc::not_accepting), events);
  if (lost_.count != 0) events.push_back(lost_event(lost_));
  events_ = std::move(events);
  headers_.assign(events_.size(), {});
  records_.assign(events_.size(), {});
  // The numbers that they will have: nobody else writes here, and one append is on its way at a time.
  Chain chain = chain_;
  const WallTime now = env_.clock.wall();
  for (std::size_t i = 0; i < events_.size(); ++i) {
    headers_[i] = link_header(chain.head().hash);
    NewRecord& r = records_[i];
    r.key = events_[i].action;
    r.hash = hash_key(r.key);
    r.arrival = now;
    r.headers = headers_[i];
    r.data = events_[i].json;
    chain.add({next(chain.head().sequence), r.hash, r.explicit_hash, r.content, r.arrival, r.key, r.headers, r.data});
  }
  append_ = {};
  append_.records = records_;
  append_.sink = this;
  written_ = false;
  in_flight_ = true;
  self_ = shared_from_this();
  log()->append(&append_);
}

void Writer::finish() {
  in_flight_ = false;
  const auto self = std::exchange(self_, {});
  if (append_.error) {
    if (events_.back().action == kAuditLost) events_.pop_back();  // it is still in lost_
    return give_up(append_.error, events_);
  }
  {
    const std::lock_guard lock(mutex_);
    CHECK(append_.first == next(chain_.head().sequence));
    for (const NewRecord& r : records_)
      chain_.add(
          {next(chain_.head().sequence), r.hash, r.explicit_hash, r.content, r.arrival, r.key, r.headers, r.data});
  }
  if (std::exchange(failing_, false)) env_.logger.info("the audit trail is written again");
  lost_ = {};
  metrics.events.add(events_.size());
  for (const AuditEvent& event : events_)
    if (event.action == kAuditSummed) metrics.summed.add(event.requests);
  retain();
}

void Writer::give_up(const ErrorCode& error, const std::vector<AuditEvent>& events) {
  const WallTime now = env_.clock.wall();
  std::uint64_t requests = 0;
  for (const AuditEvent& event : events) requests += event.requests;
  lost_.add(requests, now, now);
  metrics.lost.add(requests);
  metrics.failures.add();
  if (!std::exchange(failing_, true))
    env_.logger.error("the audit trail cannot be written; what it would say is counted in tidemill_audit_lost_total",
                      {{"cause", error.message()}});
}

void Writer::retain() {
  const MonotonicTime now = env_.clock.monotonic();
  const auto log = this->log();
  if (!log || now < next_retention_) return;
  next_retention_ = now + kRetentionEvery;
  if (options_.keep_age.count() != 0) wake_at(now + kPeriod);  // also when nothing happens any more
  RetentionLimits limits;
  if (options_.keep_bytes != 0) limits.bytes_max = options_.keep_bytes;
  const WallTime wall = env_.clock.wall();
  const auto parted =
      (wall - wall_at_start_) - std::chrono::floor<std::chrono::milliseconds>(now - monotonic_at_start_);
  // A clock that was set forward must not take the trail away.
  if (options_.keep_age.count() != 0 && parted < kClockJumpMax) limits.older_than = wall - options_.keep_age;
  if (options_.keep_age.count() != 0 && parted >= kClockJumpMax && !std::exchange(parted_, true))
    env_.logger.warning("the wall clock was set forward: nothing of the audit trail goes by age until the next start");
  if (!limits.bytes_max && !limits.older_than) return;
  const auto start = log->retention_start(limits);
  if (!start || *start <= log->start()) return;
  const auto dropped = log->drop_before(*start);
  if (!dropped)
    env_.logger.warning("old parts of the audit trail were not removed; it is tried again",
                        {{"cause", dropped.error().message()}});
}

class AuditTrailImpl final : public AuditTrail {
 public:
  AuditTrailImpl(Env& env, Engine& engine, const Options& options)
      : env_(env), writer_(std::make_shared<Writer>(env, engine, options)) {
    writer_->open();
  }
  ~AuditTrailImpl() override { close(); }

  void accepted(const AuditRequest& request) override {
    if (!writer_->ended()) writer_->noted(writer_->gather.accepted(request, env_.clock.wall()));
  }
  void denied(const AuditRequest& request, std::string_view reason, std::string_view needs) override {
    if (!writer_->ended()) writer_->noted(writer_->gather.denied(request, reason, needs, env_.clock.wall()));
  }
  void asked(const AuditRequest& request) override {
    if (!writer_->ended()) writer_->noted(writer_->gather.asked(request, env_.clock.wall()));
  }
  void ended(const AuditRequest& request, std::string_view reason) override {
    if (!writer_->ended()) writer_->noted(writer_->gather.ended(request, reason, env_.clock.wall()));
  }
  const AuditMetrics& metrics() const override { return writer_->metrics; }
  void flush() override { flush(false); }
  std::shared_ptr<Log> log() const override { return writer_->log(); }
  ChainHead head() const override { return writer_->head(); }
  void close() override {
    if (!std::exchange(closed_, true)) flush(true);
  }

 private:
  void flush(bool end) {
    const auto done = env_.background.make_signal();
    writer_->flush(done, end);
    done->wait();
  }

  Env& env_;
  const std::shared_ptr<Writer> writer_;
  bool closed_ = false;
};

}  // namespace

std::unique_ptr<AuditTrail> AuditTrail::open(Env& env, Engine& engine, const Options& options) {
  return std::make_unique<AuditTrailImpl>(env, engine, options);
}

}  // namespace tidemill
