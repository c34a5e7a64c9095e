#include <utility>

#include "engine/group_runner.h"
#include "engine/lag.h"
#include "storage/seam/clock.h"

namespace tidemill {
namespace {

// Reads the whole stream in order, for one consumer. Everything but status() happens in run(), so on one thread at a
// time.
class StreamGroup final : public GroupRunner {
 public:
  StreamGroup(Env& env, std::string name, std::shared_ptr<Stream> stream, std::shared_ptr<Consumer> consumer)
      : GroupRunner(env, std::move(name), std::move(stream), kGather), consumer_(std::move(consumer)) {}

 protected:
  Result<void> open_consumer() override {
    ASSIGN_OR_RETURN(const Position position, consumer_->open());
    next_ = next(position.sequence());
    return {};
  }

  void run_open() override {
    if (consumer_->waits()) return;
    const MonotonicTime now = env_.clock.monotonic();
    if (retry_.waiting(now)) return wake_at(retry_.at);
    const auto worked = work(now);
    if (!worked) {
      retry_.failed(now);
      failed(doing_, worked.error());
      return wake_at(retry_.at);
    }
    if (std::exchange(retry_, {}).pause.count() != 0) succeeded();
    if (const auto due = consumer_->next_tick()) wake_at(*due);
  }

  void run_closing() override {
    if (consumer_->waits()) return;
    held_.reset();  // not applied; the next life reads it again
    auto result = consumer_->close();
    if (consumer_->pending()) return;
    let_go();
    closed_with(std::move(result));
  }

  // Whoever closed the group may take apart what its consumer uses, so that goes first.
  void let_go() override {
    std::shared_ptr<Consumer> gone;  // outlives the lock
    const std::lock_guard lock(shown_mutex_);
    gone.swap(consumer_);
  }

  void fill(GroupStatus& status) const override {
    std::shared_ptr<Consumer> consumer;
    {
      const std::lock_guard lock(shown_mutex_);
      consumer = consumer_;
    }
    if (consumer == nullptr) return;  // closed
    status.applied = consumer->applied();
    status.persisted = consumer->persisted();
    status.filed = consumer->filed();
    const Sequence applied = status.applied.sequence();
    if (applied >= status.durable) return;
    status.lag_records = status.durable.value() - applied.value();
    status.lag_seconds = lag_seconds(stream_->log(), env_.clock, tidemill::next(applied));
  }

 private:
  // At 4,000 commits a second a run for each would cost more than its work; who waits for a view waits this long more.
  static constexpr std::chrono::microseconds kGather{250};
  static constexpr int kBatchesPerRun = 8;  // then others get the thread

  Result<void> work(MonotonicTime now) {
    doing_ = "tick";
    if (const auto due = consumer_->next_tick(); due && *due <= now) RETURN_IF_ERROR(consumer_->tick());
    doing_ = "noting its position";
    notes_ = is_to_note() || notes_;
    if (notes_) RETURN_IF_ERROR(consumer_->note_position());
    notes_ = false;
    if (consumer_->waits()) return {};
    for (int i = 0; i < kBatchesPerRun && !closing(); ++i) {
      if (!held_) {
        doing_ = "reading";
        ASSIGN_OR_RETURN(RecordBatch batch, read(next_));
        if (batch.next == next_) return {};
        held_ = std::move(batch);
      }
      doing_ = "applying";
      RETURN_IF_ERROR(consumer_->process(*held_));
      if (consumer_->pending()) return {};
      next_ = held_->next;
      held_.reset();
    }
    wake();
    return {};
  }

  Sequence next_;
  bool notes_ = false;               // is to note its position
  std::optional<RecordBatch> held_;  // read and not applied yet: what a retry is given again
  Retry retry_;
  const char* doing_ = "";

  mutable std::mutex shown_mutex_;      // for status(); only run() changes them
  std::shared_ptr<Consumer> consumer_;  // gone when closed
};

}  // namespace

std::shared_ptr<GroupRunner> make_stream_group(Env& env, std::string name, std::shared_ptr<Stream> stream,
                                               std::shared_ptr<Consumer> consumer) {
  const auto group = std::make_shared<StreamGroup>(env, std::move(name), std::move(stream), consumer);
  consumer->wake_with([weak = group->weak()] {
    if (const auto self = weak.lock()) self->wake();
  });
  return group;
}

}  // namespace tidemill
