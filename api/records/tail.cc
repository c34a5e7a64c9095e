#include "api/records/tail.h"

#include "storage/base/errors.h"
#include "storage/seam/clock.h"

namespace tidemill {

Tail::Tail(ApiContext& context, TailMetrics& metrics, std::shared_ptr<Stream> stream, HashRange range, Sequence from,
           std::shared_ptr<http::Stream> out)
    : Serial(context.env),
      context_(context),
      metrics_(metrics),
      stream_(std::move(stream)),
      range_(range),
      from_(from),
      out_(std::move(out)) {
  metrics_.open.add(1);
}

Tail::~Tail() {
  metrics_.open.add(-1);
}

void Tail::begin() {
  self_ = std::static_pointer_cast<Tail>(shared_from_this());
  comment_due_ = env_.clock.monotonic() + kComment;
  listener_ = stream_->log().listen([weak = weak()](Sequence) {
    if (const auto self = weak.lock()) self->wake();
  });
  wake();
  wake_at(comment_due_);
}

void Tail::end(bool abort) {
  if (!self_) return;
  if (abort) {
    out_->abort();
  } else {
    out_->finish();
  }
  listener_.reset();
  const auto last = std::move(self_);
}

void Tail::run() {
  if (!self_) return;
  // One run gives at most a few batches, so that one client does not hold a background thread.
  for (int round = 0; round < 4; ++round) {
    if (out_->gone()) return end(true);
    if (context_.draining.load()) return end(false);
    if (out_->queued() > kBehindMax) {
      metrics_.disconnected.add();
      return end(true);
    }
    ReadOptions options;
    options.range = range_;
    options.records_max = 1'000;
    options.bytes_max = 256 << 10;
    auto batch = stream_->log().read(from_, options);
    if (!batch) {
      if (batch.error() == StorageErrc::before_start) {  // retention went past it
        out_->write("event: lost\ndata: {\"before\":" + std::to_string(stream_->log().start().value()) + "}\n\n");
        from_ = stream_->log().start();
        continue;
      }
      return end(true);
    }
    std::string text;
    for (const LostRange& lost : batch->lost) {
      text.append("event: lost\ndata: {\"first\":" + std::to_string(lost.first.value()) +
                  ",\"last\":" + std::to_string(lost.last.value()) + "}\n\n");
    }
    for (const Record& record : batch->records) {
      text.append("id: ").append(std::to_string(record.sequence.value() + 1)).append("\ndata: ");
      append_record(text, *stream_, record);
      text.append("\n\n");
    }
    const bool more = batch->next > from_;
    from_ = batch->next;
    const MonotonicTime now = env_.clock.monotonic();
    if (!text.empty()) {
      comment_due_ = now + kComment;
    } else if (now >= comment_due_) {
      text = ": still here\n\n";
      comment_due_ = now + kComment;
    }
    if (!text.empty() && !out_->write(std::move(text))) return end(true);
    if (!more) return wake_at(comment_due_);
  }
  wake();
}

}  // namespace tidemill
