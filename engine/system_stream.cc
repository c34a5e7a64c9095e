#include "engine/system_stream.h"

#include <atomic>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "engine/stream.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/seam/clock.h"
#include "storage/seam/executor.h"

namespace tidemill {

// One event is on its way at a time: check, append, flush, fold, answer, next. The steps run on env.background; the
// flush thread only posts.
struct SystemStream::Impl final : AppendSink, std::enable_shared_from_this<Impl> {
  struct Pending {
    std::string type;
    std::string json;
    Check check;
    Done done;
  };

  Impl(Env& e, std::shared_ptr<Log> l) : env(e), log(std::move(l)), folded(log->durable()) {}

  Env& env;
  const std::shared_ptr<Log> log;

  std::mutex queue_mutex;
  std::deque<Pending> queue;   // the front is on its way
  std::shared_ptr<Impl> self;  // while the front's append belongs to the log
  NewRecord record;
  Append append;

  std::mutex state_mutex;  // folds, and what they make; held while a new fold reads the log
  std::vector<std::pair<std::string, Fold>> folds;
  Sequence folded;  // all events up to here have been handed out
  Chain chain;      // up to what has been read or written; behind `folded` until the log was read once
  std::string headers;
  std::atomic<std::uint64_t> breaks{0};

  void push(Pending pending) {
    const std::lock_guard lock(queue_mutex);
    queue.push_back(std::move(pending));
    if (queue.size() == 1) post_start();
  }

  void post_start() {
    env.background.post([self = shared_from_this()] { self->start(); });
  }

  Pending& front() {
    const std::lock_guard lock(queue_mutex);
    return queue.front();  // stays where it is: a deque, and only answer() takes it away
  }

  void start() {
    Pending& event = front();
    {
      const std::lock_guard lock(state_mutex);
      if (event.check)
        if (auto refused = event.check(); !refused) return answer(refused.error());
      if (auto read = catch_up(); !read) return answer(read.error());
      headers = link_header(chain.head().hash);
    }
    record = {};
    record.key = event.type;
    record.hash = hash_key(event.type);
    record.arrival = env.clock.wall();
    record.headers = headers;
    record.data = event.json;
    append = {};
    append.records = {&record, 1};
    append.sink = this;
    self = shared_from_this();
    log->append(&append);
  }

  void appended(Append*) noexcept override {
    env.background.post([self = std::move(self)] { self->finish(); });
  }

  void finish() {
    if (append.error) return answer(append.error);
    {
      const std::lock_guard lock(state_mutex);
      chain.add({append.first, record.hash, record.explicit_hash, record.content, record.arrival, record.key,
                 record.headers, record.data});
      hand_out({append.first, record.arrival, record.key, record.data});
      folded = append.first;
    }
    answer(append.first);
  }

  void hand_out(const Event& event) {
    for (const auto& [prefix, fold] : folds)
      if (event.type.starts_with(prefix)) fold(event);
  }

  void answer(Result<Sequence> result) {
    const Done done = std::move(front().done);
    done(result);
    const std::lock_guard lock(queue_mutex);
    queue.pop_front();
    if (!queue.empty()) post_start();
  }

  // The log was read once, so that it is known what the next event follows. Under state_mutex.
  Result<void> catch_up() {
    if (chain.head().sequence >= folded) return {};
    return replay("", [](const Event&) {});
  }

  void link(const Record& read) {
    const ChainHead before = chain.head();
    if (chain.add(read) != Chain::Seen::broken) return;
    ++breaks;
    env.logger.error(
        "the system stream was altered: an event is not the one that the next was written after; see tidemill verify",
        {{"event", std::to_string(before.sequence.value())}, {"next", std::to_string(read.sequence.value())}});
  }

  Result<void> replay(std::string_view prefix, const Fold& fold) {
    for (Sequence from = log->start(); from <= folded;) {
      ASSIGN_OR_RETURN(const RecordBatch batch, log->read(from, {}));
      if (!batch.lost.empty()) {
        const LostRange& lost = batch.lost.front();
        env.logger.error("the system stream is damaged; restore it from a backup",
                         {{"file", lost.file}, {"offset", std::to_string(lost.offset.value())}});
        return StorageErrc::damaged;
      }
      for (const Record& r : batch.records) {
        if (r.sequence > folded) continue;
        if (r.sequence > chain.head().sequence) link(r);
        if (r.key.starts_with(prefix)) fold({r.sequence, r.arrival, r.key, r.data});
      }
      if (batch.next <= from) break;
      from = batch.next;
    }
    return {};
  }
};

SystemStream::SystemStream(Env& env, std::shared_ptr<Log> log)
    : log_(std::move(log)), impl_(std::make_shared<Impl>(env, log_)) {}
SystemStream::~SystemStream() = default;

Result<void> SystemStream::fold(std::string_view prefix, Fold fold) {
  const std::lock_guard lock(impl_->state_mutex);
  RETURN_IF_ERROR(impl_->replay(prefix, fold));
  impl_->folds.emplace_back(prefix, std::move(fold));
  return {};
}

Result<ChainHead> SystemStream::head() const {
  const std::lock_guard lock(impl_->state_mutex);
  RETURN_IF_ERROR(impl_->catch_up());
  return impl_->chain.head();
}

std::uint64_t SystemStream::chain_breaks() const {
  return impl_->breaks;
}

void SystemStream::append_async(std::string_view type, std::string_view json, Check check, Done done) {
  impl_->push({std::string(type), std::string(json), std::move(check), std::move(done)});
}

Result<Sequence> SystemStream::append(std::string_view type, std::string_view json, Check check) {
  // Shared with the callback, for it may still be inside set() when this thread goes on.
  struct Wait {
    std::shared_ptr<Signal> signal;
    std::optional<Result<Sequence>> result;
  };
  const auto wait = std::make_shared<Wait>();
  wait->signal = impl_->env.background.make_signal();
  append_async(type, json, std::move(check), [wait](Result<Sequence> result) {
    wait->result = std::move(result);
    wait->signal->set();
  });
  wait->signal->wait();
  return *wait->result;
}

}  // namespace tidemill
