#include "engine/usage/usage_log.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "engine/engine.h"
#include "engine/usage/usage_record.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/seam/clock.h"
#include "storage/seam/executor.h"

namespace tidemill {
namespace {

// Of one tenant in one request, which is one commit: about 700 KB, below what a commit takes.
constexpr std::size_t kRecordsMax = 4'000;
// A log without anything in flight is throttled only while all memory for appends is taken, which passes.
constexpr int kTries = 40;
constexpr std::chrono::milliseconds kPause{50};
// A clock that was set back between a count and its commit: so far below `since` is looked, too.
constexpr std::chrono::hours kLookBack{1};

void add(UsageCounts& sum, const UsageCounts& more) {
  sum.requests += more.requests;
  sum.records += more.records;
  sum.bytes += more.bytes;
  sum.refused += more.refused;
}

// The appends of one round, of all tenants; waits for all of them.
class Round final : public AppendSink {
 public:
  Round(Env& env, std::size_t appends) : signal_(env.background.make_signal()), left_(appends) {}
  void appended(Append* done) noexcept override {
    std::size_t count = 0;
    for (; done != nullptr; done = done->next_done) ++count;
    const auto signal = signal_;  // this may go while it is still in set()
    if (left_.fetch_sub(count) == count) signal->set();
  }
  void wait() { signal_->wait(); }

 private:
  const std::shared_ptr<Signal> signal_;
  std::atomic<std::size_t> left_;
};

// What one tenant has to note, piece by piece.
struct Part {
  std::shared_ptr<Stream> stream;
  std::vector<const UsageDelta*> deltas;
  std::size_t done = 0;
  int tries = 0;
  ErrorCode error;
  // Of the piece on its way.
  std::size_t size = 0;
  std::vector<std::string> keys, data;
  std::vector<NewRecord> records;
  Append append;

  bool more() const { return !error && done < deltas.size(); }
  void encode(WallTime now);
};

void Part::encode(WallTime now) {
  if (size != 0) return;  // throttled: the same again
  size = std::min(kRecordsMax, deltas.size() - done);
  keys.assign(size, {});
  data.assign(size, {});
  records.assign(size, {});
  for (std::size_t i = 0; i < size; ++i) {
    const UsageDelta& delta = *deltas[done + i];
    keys[i] = to_text(delta.key);
    encode_usage(data[i], delta);
    records[i].key = keys[i];
    records[i].hash = hash_key(keys[i]);
    records[i].arrival = now;
    records[i].data = data[i];
  }
}

class UsageLogImpl final : public UsageLog {
 public:
  UsageLogImpl(Env& env, Engine& engine) : env_(env), engine_(engine) {}

  Result<void> append(const std::vector<UsageDelta>& deltas) override;
  Result<void> read(WallTime since, const std::string& tenant,
                    const std::function<void(const UsageDelta&)>& each) override;
  std::map<std::string, UsageCounts> noted() const override {
    const std::lock_guard lock(mutex_);
    return noted_;
  }

 private:
  Result<std::shared_ptr<Stream>> stream_of(const std::string& tenant);
  void send(std::vector<Part*>& parts);
  void answered(Part& part);
  void fail(Part& part, const std::string& tenant, const ErrorCode& error);
  void pause();
  Result<void> read(Stream& stream, WallTime since, const std::function<void(const UsageDelta&)>& each);
  void say_damaged(const Stream& stream, Sequence first, Sequence last, std::string_view file);

  Env& env_;
  Engine& engine_;
  std::mutex appending_;           // one append() at a time
  std::set<std::string> failing_;  // tenants, as of their last append
  mutable std::mutex mutex_;
  std::map<std::string, UsageCounts> noted_;
};

Result<std::shared_ptr<Stream>> UsageLogImpl::stream_of(const std::string& tenant) {
  if (auto there = engine_.find({tenant, std::string(kUsageStream)})) return there;
  StreamDefinition d;
  d.name = kUsageStream;
  d.tenant = tenant;
  d.partition_key = "key";
  d.fields = {{"key", FieldType::text},        {"hour", FieldType::text},     {"requests", FieldType::integer},
              {"records", FieldType::integer}, {"bytes", FieldType::integer}, {"refused", FieldType::integer}};
  d.archive.enabled = false;  // nobody's text files
  d.retention.age = kUsageAge;
  return engine_.create_reserved(std::move(d), 1);
}

Result<void> UsageLogImpl::append(const std::vector<UsageDelta>& deltas) {
  const std::lock_guard one(appending_);
  std::map<std::string_view, Part> parts;
  for (const UsageDelta& delta : deltas) parts[delta.tenant].deltas.push_back(&delta);
  ErrorCode failed;
  for (auto& [tenant, part] : parts) {
    auto stream = stream_of(std::string(tenant));
    if (stream) {
      part.stream = std::move(*stream);
    } else {
      fail(part, std::string(tenant), stream.error());
    }
  }
  for (;;) {
    std::vector<Part*> round;
    for (auto& [tenant, part] : parts)
      if (part.more()) round.push_back(&part);
    if (round.empty()) break;
    send(round);
  }
  for (const auto& [tenant, part] : parts)
    if (part.error && !failed) failed = part.error;
  if (failed) return failed;
  return {};
}

// The logs flush beside each other, so a thousand tenants do not wait in a row.
void UsageLogImpl::send(std::vector<Part*>& parts) {
  Round round(env_, parts.size());
  for (Part* part : parts) {
    part->encode(env_.clock.wall());
    part->append = {};
    part->append.records = part->records;
    part->append.sink = &round;
  }
  for (Part* part : parts) part->stream->log().append(&part->append);
  round.wait();
  bool throttled = false;
  for (Part* part : parts) {
    answered(*part);
    throttled = throttled || part->size != 0;
  }
  if (throttled) pause();
}

void UsageLogImpl::answered(Part& part) {
  if (part.append.error == StorageErrc::throttled && ++part.tries < kTries) return;
  if (part.append.error) {
    fail(part, part.stream->tenant(), part.append.error);
  } else {
    if (failing_.erase(part.stream->tenant()) != 0)
      env_.logger.info("usage is noted again", {{"tenant", part.stream->tenant()}});
    const std::lock_guard lock(mutex_);
    UsageCounts& sum = noted_[part.stream->tenant()];
    for (std::size_t i = 0; i < part.size; ++i) add(sum, part.deltas[part.done + i]->counts);
    part.done += part.size;
  }
  part.size = 0;
  part.tries = 0;
}

// A full disk fails every second: said once, until it goes again.
void UsageLogImpl::fail(Part& part, const std::string& tenant, const ErrorCode& error) {
  part.error = error;
  if (failing_.insert(tenant).second)
    env_.logger.error("usage is not noted: what this tenant's keys do meanwhile may not count",
                      {{"tenant", tenant}, {"cause", error.message()}});
}

void UsageLogImpl::pause() {
  const auto signal = env_.background.make_signal();
  env_.background.post_after(kPause, [signal] { signal->set(); });
  signal->wait();
}

Result<void> UsageLogImpl::read(WallTime since, const std::string& tenant,
                                const std::function<void(const UsageDelta&)>& each) {
  ErrorCode failed;
  for (const auto& stream : engine_.list()) {
    if (stream->name() != kUsageStream || (!tenant.empty() && stream->tenant() != tenant)) continue;
    const auto done = read(*stream, since, each);
    if (!done && !failed) failed = done.error();
  }
  if (failed) return failed;
  return {};
}

// A count is made durable in its hour or later, and the log is searched by the running maximum of its commits' times.
Result<void> UsageLogImpl::read(Stream& stream, WallTime since, const std::function<void(const UsageDelta&)>& each) {
  const auto log = stream.shared_log();
  const Sequence end = log->durable();
  ASSIGN_OR_RETURN(Sequence at, log->find(since - kLookBack));
  UsageReader reader;
  ReadOptions options;
  options.records_max = 50'000;
  options.historical = true;
  bool damaged = false;
  while (at <= end) {
    const auto batch = log->read(at, options);
    if (!batch && batch.error() == StorageErrc::before_start) {  // retention, just now
      at = std::max(log->start(), next(at));
      continue;
    }
    if (!batch) return batch.error();
    for (const LostRange& lost : batch->lost) {
      damaged = true;
      say_damaged(stream, lost.first, lost.last, lost.file);
    }
    for (const Record& record : batch->records) {
      auto delta = reader.read(record.data);
      if (!delta) {
        damaged = true;
        say_damaged(stream, record.sequence, record.sequence, {});
        continue;
      }
      if (delta->hour < since) continue;
      delta->tenant = stream.tenant();
      each(*delta);
    }
    if (batch->next <= at) break;
    at = batch->next;
  }
  if (damaged) return StorageErrc::damaged;
  return {};
}

void UsageLogImpl::say_damaged(const Stream& stream, Sequence first, Sequence last, std::string_view file) {
  env_.logger.error(
      "noted usage cannot be read: keys of this tenant seem to have used less than they did; restore the "
      "stream from a backup, or let the month pass",
      {{"stream", stream.title()},
       {"first", std::to_string(first.value())},
       {"last", std::to_string(last.value())},
       {"file", std::string(file)}});
}

}  // namespace

Result<std::unique_ptr<UsageLog>> UsageLog::open(Env& env, Engine& engine) {
  return std::unique_ptr<UsageLog>(std::make_unique<UsageLogImpl>(env, engine));
}

}  // namespace tidemill
