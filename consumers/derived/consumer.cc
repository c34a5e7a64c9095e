#include "consumers/derived/consumer.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>

#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/seam/executor.h"

namespace tidemill::derived {

// One append, with the bytes that the log reads meanwhile. Lives until it is answered, whatever becomes of the
// consumer.
class DerivingConsumer::InFlight final : public AppendSink, public std::enable_shared_from_this<InFlight> {
 public:
  InFlight(Env& env, Made made, const SourcePosition& position, std::function<void()> wake)
      : env_(env), made_(std::move(made)), records_(made_.records()), wake_(std::move(wake)), position_(position) {}

  void send(Log& log) {
    answered_ = false;
    append_ = {};
    append_.records = records_;
    append_.source = position_;
    append_.sink = this;
    self_ = shared_from_this();
    log.append(&append_);
  }
  void appended(Append*) noexcept override {
    const auto self = std::move(self_);
    if (append_.error != StorageErrc::throttled) return answered();
    // As a producer would: when there may be room.
    const auto pause = std::clamp<std::chrono::nanoseconds>(append_.retry_after, kPauseMin, kPauseMax);
    env_.background.post_after(pause, [self] { self->answered(); });
  }

  bool is_answered() const { return answered_.load(); }
  const ErrorCode& error() const { return append_.error; }
  const SourcePosition& position() const { return position_; }
  const Made& made() const { return made_; }

 private:
  static constexpr std::chrono::milliseconds kPauseMin{10};
  static constexpr std::chrono::milliseconds kPauseMax{1'000};

  void answered() {
    answered_ = true;
    wake_();
  }

  Env& env_;
  const Made made_;
  const std::vector<NewRecord> records_;
  const std::function<void()> wake_;
  const SourcePosition position_;
  Append append_;
  std::atomic<bool> answered_{false};
  std::shared_ptr<InFlight> self_;  // while the append belongs to the log
};

DerivingConsumer::DerivingConsumer(Env& env, std::shared_ptr<Stream> source, std::shared_ptr<Stream> target)
    : env_(env), source_(std::move(source)), target_(std::move(target)) {}
DerivingConsumer::~DerivingConsumer() = default;

Result<Position> DerivingConsumer::open() {
  const auto& definition = *target_->definition().derived;
  const auto refuse = [&](std::string_view cause, std::string_view remedy) {
    env_.logger.error("a derived stream cannot go on", {{"stream", target_->title()},
                                                        {"source", source_->name()},
                                                        {"cause", std::string(cause)},
                                                        {"remedy", std::string(remedy)}});
    return make_error_code(StorageErrc::damaged);
  };
  constexpr std::string_view kAnew = "create another one of the same SELECT, which begins anew, then drop this one";
  auto derivation = views::read_derivation(definition.sql);
  if (const auto* error = std::get_if<views::SqlError>(&derivation)) return refuse(error->message, kAnew);
  auto maker = Maker::open(std::get<0>(derivation), [source = source_](HashKey hash, Sequence sequence) {
    return source->shard_of(hash, sequence);
  });
  if (const auto* error = std::get_if<views::SqlError>(&maker)) return refuse(error->message, kAnew);
  maker_ = std::move(std::get<0>(maker));

  auto position = target_->log().source();
  const bool known = position.has_value();
  if (!known) {
    const Sequence before(definition.from.value() - std::min<std::uint64_t>(definition.from.value(), 1));
    position = SourcePosition{source_->incarnation(), before, 0, 0};
  }
  const bool lost = position->through == kSourceLost || (!known && target_->log().durable().value() != 0);
  if (position->source != source_->incarnation()) return refuse("its records are of another source", kAnew);
  if (lost) return refuse("where it was in its source is lost with the damaged end of its log", kAnew);
  in_flight_.reset();
  again_ = at_work_ = last_ = closing_ = false;
  set_applied(*position);
  return Position::through(position->through);
}

// What became of the append that was under way.
Result<void> DerivingConsumer::settle() {
  if (!in_flight_) return {};
  if (in_flight_->error()) {
    const bool throttled = in_flight_->error() == StorageErrc::throttled;
    if (!again_ && !throttled) {
      again_ = true;
      return in_flight_->error();
    }
    again_ = false;
    in_flight_->send(target_->log());
    return {};
  }
  const auto done = std::exchange(in_flight_, nullptr);
  again_ = false;
  set_applied(done->position());
  say_parked(done->made().parked);
  return {};
}

Result<void> DerivingConsumer::process(const RecordBatch& batch) {
  RETURN_IF_ERROR(settle());
  if (in_flight_) return {};
  if (std::exchange(last_, false)) return {};
  if (!at_work_) begin(batch);
  while (at_work_) {
    ASSIGN_OR_RETURN(const bool sent, make_some(batch));
    if (sent) return {};
  }
  return {};
}

void DerivingConsumer::begin(const RecordBatch& batch) {
  const Sequence applied = position().through;
  const auto is_in = [&](const Record& r) { return r.sequence <= applied; };
  maker_->parse(batch.records);
  at_work_ = true;
  at_ = static_cast<std::uint32_t>(std::partition_point(batch.records.begin(), batch.records.end(), is_in) -
                                   batch.records.begin());
  count_ = static_cast<std::uint32_t>(batch.records.size());
  lost_at_ = 0;
  while (lost_at_ < batch.lost.size() && batch.lost[lost_at_].last <= applied) ++lost_at_;
}

// One append's worth. False: nothing to append; where that was the end of the batch, the work on it is done.
Result<bool> DerivingConsumer::make_some(const RecordBatch& batch) {
  Made made;
  std::uint32_t at = at_;  // only moved when all of it is made
  while (at < count_ && made.bytes() < kAppendBytes) {
    const std::uint32_t count = maker_->several() ? 1 : std::min(kSlice, count_ - at);
    RETURN_IF_ERROR(maker_->make(at, count, made));
    at += count;
  }
  at_ = at;
  SourcePosition position = this->position();
  position.through = at_ == count_ ? Sequence(batch.next.value() - 1) : batch.records[at_ - 1].sequence;
  position.parked += made.parked.size();
  for (; lost_at_ < batch.lost.size() && batch.lost[lost_at_].last <= position.through; ++lost_at_) {
    const LostRange& lost = batch.lost[lost_at_];
    position.lost += lost.last.value() - lost.first.value() + 1;
    env_.logger.error("records of a source could not be read; nothing is derived from them",
                      {{"stream", target_->title()},
                       {"source", source_->name()},
                       {"first", std::to_string(lost.first.value())},
                       {"last", std::to_string(lost.last.value())}});
  }
  if (at_ == count_) at_work_ = false;
  const bool due = position.through.value() >= persisted().sequence().value() + kNoteEvery ||
                   position.parked != applied_.parked || position.lost != applied_.lost;
  if (made.empty() && !due) {
    set_applied(position);
    return false;
  }
  last_ = !at_work_;
  append(std::move(made), position);
  return true;
}

void DerivingConsumer::append(Made made, const SourcePosition& position) {
  in_flight_ = std::make_shared<InFlight>(env_, std::move(made), position, wake_);
  in_flight_->send(target_->log());
}

Result<void> DerivingConsumer::note_position() {
  RETURN_IF_ERROR(settle());
  if (!in_flight_ && position().through > persisted().sequence()) append({}, position());
  return {};
}

Result<void> DerivingConsumer::close() {
  if (in_flight_ && in_flight_->error()) {
    in_flight_.reset();  // the next life does it again
    return {};
  }
  RETURN_IF_ERROR(settle());
  if (closing_ || in_flight_ || position().through <= persisted().sequence()) return {};
  closing_ = true;
  append({}, position());
  return {};
}

bool DerivingConsumer::waits() const {
  return in_flight_ && !in_flight_->is_answered();
}

Position DerivingConsumer::applied() const {
  return Position::through(position().through);
}

Position DerivingConsumer::persisted() const {
  const auto position = target_->log().source();
  if (position && position->through != kSourceLost) return Position::through(position->through);
  const std::uint64_t from = target_->definition().derived->from.value();
  return Position::through(Sequence(from - std::min<std::uint64_t>(from, 1)));
}

SourcePosition DerivingConsumer::position() const {
  const std::lock_guard lock(mutex_);
  return applied_;
}

std::vector<Parked> DerivingConsumer::latest_parked() const {
  const std::lock_guard lock(mutex_);
  return {parked_.begin(), parked_.end()};
}

void DerivingConsumer::set_applied(const SourcePosition& position) {
  const std::lock_guard lock(mutex_);
  applied_ = position;
}

void DerivingConsumer::say_parked(const std::vector<Parked>& parked) {
  if (parked.empty()) return;
  env_.logger.warning("records could not be worked out; nothing is derived from them",
                      {{"stream", target_->title()},
                       {"source", source_->name()},
                       {"records", std::to_string(parked.size())},
                       {"first", std::to_string(parked.front().sequence.value())},
                       {"reason", parked.front().reason}});
  const std::lock_guard lock(mutex_);
  for (const Parked& one : parked) {
    if (parked_.size() == kParkedKept) parked_.pop_front();
    parked_.push_back(one);
  }
}

}  // namespace tidemill::derived
