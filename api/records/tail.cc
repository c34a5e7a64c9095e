#include "api/records/tail.h"

#include "api/errors/problem.h"
#include "engine/cut.h"
#include "storage/base/errors.h"
#include "storage/seam/clock.h"

namespace tidemill {
namespace {

// The id is the position after them: who reconnects is not told again.
void append_lost(std::string& out, const LostRange& lost) {
  out.append("id: " + std::to_string(lost.last.value() + 1) + "\nevent: lost\ndata: {\"first\":");
  out.append(std::to_string(lost.first.value()) + ",\"last\":" + std::to_string(lost.last.value()) + "}\n\n");
}

}  // namespace

Tail::Tail(ApiContext& context, TailMetrics& metrics, Follower follower, std::shared_ptr<Stream> stream,
           HashRange range, std::optional<ShardId> shard, Sequence from, std::shared_ptr<http::Stream> out)
    : Serial(context.env),
      context_(context),
      metrics_(metrics),
      follower_(std::move(follower)),
      stream_(std::move(stream)),
      range_(range),
      shard_(shard),
      from_(from),
      out_(std::move(out)) {}

void Tail::begin() {
  metrics_.open.add(1);
  self_ = std::static_pointer_cast<Tail>(shared_from_this());
  comment_due_ = env_.clock.monotonic() + kComment;
  if (shard_) {
    listener_ = stream_->log().listen_in(range_, [weak = weak()](Sequence first, Sequence) {
      const auto self = weak.lock();
      if (!self) return;
      std::uint64_t none = 0;
      static_cast<Tail&>(*self).unseen_.compare_exchange_strong(none, first.value());
      self->wake();
    });
  } else {
    listener_ = stream_->log().listen([weak = weak()](Sequence) {
      if (const auto self = weak.lock()) self->wake();
    });
  }
  wake();
  wake_at(comment_due_);
}

void Tail::end(bool abort) {
  if (!self_) return;
  metrics_.open.add(-1);  // once the answer has ended, the server may go, and whose task this is may be later
  if (abort) {
    out_->abort();
  } else {
    out_->finish();
  }
  listener_.reset();
  const auto last = std::move(self_);
}

// The answer has begun: what an error would have said as an answer of its own comes as an event.
void Tail::fail(ErrorId id, std::string_view detail) {
  std::string text = "event: error\ndata: " + problem(id, detail).body;  // ends with a line end
  out_->write(text + "\n");
  end(false);
}

void Tail::end_of_shard() {
  out_->write("id: " + std::to_string(from_.value()) + "\nevent: closed\ndata: {\"shard\":" +
              std::to_string(shard_->value()) + ",\"children\":[" + children_of(*stream_, *shard_) + "]}\n\n");
  end(false);
}

// What is new. Of one shard, whatever others have written since the last look is passed without looking at it.
Result<RecordBatch> Tail::read(Where where) {
  if (shard_) {
    // Before reading: a commit that is published from here on says so again. Once the shard is closed there is no more
    // to be told of.
    const Sequence unseen(unseen_.exchange(0));
    if (at_end_ && stream_->shards().now().shown->find(*shard_)->open) {
      if (unseen == Sequence()) {
        RecordBatch nothing;
        nothing.next = from_;
        return nothing;
      }
      from_ = std::max(from_, unseen);
    }
  }
  at_end_ = false;
  ReadOptions options;
  options.range = range_;
  options.records_max = 1'000;
  options.bytes_max = 256 << 10;
  options.cached_only = where == Where::memory;
  options.historical = where == Where::disk;
  return stream_->log().read(from_, options);
}

void Tail::run() {
  if (!at_disk_.load(std::memory_order_acquire) && self_) look(Where::memory);
}

void Tail::go_to_disk() {
  caught_up_ = false;
  at_disk_.store(true, std::memory_order_relaxed);
  context_.old_pages.go_on(stream_->tenant(), [self = std::static_pointer_cast<Tail>(shared_from_this())] {
    self->look(Where::disk);
    if (!self->self_) return;
    self->at_disk_.store(false, std::memory_order_release);
    self->wake();  // whatever woke it meanwhile
  });
}

void Tail::look(Where where) {
  // At most a few batches, so that one client does not hold a thread.
  for (int round = 0; round < 4; ++round) {
    if (out_->gone()) return end(true);
    if (context_.draining.load()) return end(false);
    // Before each piece: nothing of after a revocation is sent.
    if (const std::string_view why = follower_.over(context_); !why.empty()) return fail(ErrorId::unauthorized, why);
    if (!context_.engine.find(stream_->definition().id)) return fail(ErrorId::stream_not_found);
    if (!caught_up_ && out_->queued() > kAheadMax) {
      pause_ = std::min(pause_ * 2, kPauseMax);
      return wake_at(env_.clock.monotonic() + pause_);
    }
    pause_ = kPauseMin;
    if (out_->queued() > kBehindMax) {
      metrics_.disconnected.add();
      return end(true);
    }
    auto batch = read(where);
    if (!batch) {
      if (batch.error() == StorageErrc::before_start) {  // retention went past it
        const Sequence start = stream_->log().start();
        std::string text;
        append_lost(text, {from_, Sequence(start.value() - 1)});
        out_->write(std::move(text));
        from_ = start;
        continue;
      }
      return fail(error_id(batch.error()));
    }
    if (where == Where::memory && !at_end_ && batch->next == from_ && from_ <= stream_->log().durable())
      return go_to_disk();
    bool ended = false;
    Sequence last = kSequenceMax;
    if (shard_) {
      const auto shards = stream_->shards().now();
      last = shards.shown->find(*shard_)->last_sequence;
      cut(*batch, from_, last);
      ended = last < batch->next && !shards.table->find(*shard_)->open;
    }
    std::string text;
    // In order of sequence, as a client that is cut off goes on from the last id it has seen.
    auto lost = batch->lost.begin();
    for (const Record& record : batch->records) {
      for (; lost != batch->lost.end() && lost->first < record.sequence; ++lost) append_lost(text, *lost);
      text.append("id: ").append(std::to_string(record.sequence.value() + 1)).append("\ndata: ");
      append_record(text, *stream_, record);
      text.append("\n\n");
    }
    for (; lost != batch->lost.end(); ++lost) append_lost(text, *lost);
    const bool more = batch->next > from_;
    from_ = batch->next;
    at_end_ = !more && last == kSequenceMax;
    caught_up_ |= !more;
    const MonotonicTime now = env_.clock.monotonic();
    if (!text.empty()) {
      comment_due_ = now + kComment;
    } else if (now >= comment_due_) {
      text = ": still here\n\n";
      comment_due_ = now + kComment;
    }
    if (!text.empty() && !out_->write(std::move(text))) return end(true);
    if (ended) return end_of_shard();
    if (!more) return wake_at(comment_due_);
  }
  wake();
}

}  // namespace tidemill
