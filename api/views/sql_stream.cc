#include "api/views/sql_stream.h"

#include <algorithm>

#include "api/errors/problem.h"
#include "storage/base/logger.h"
#include "storage/seam/clock.h"
#include "storage/seam/executor.h"

namespace tidemill {
namespace {

constexpr std::size_t kPiece = 64 << 10;   // a chunk, about
constexpr std::size_t kAhead = 512 << 10;  // sent and not taken by the client: no more is made
constexpr std::size_t kRows = 1'000;       // of one step
constexpr std::chrono::milliseconds kMoment{20};
constexpr std::chrono::milliseconds kPauseMin{1};
constexpr std::chrono::milliseconds kPauseMax{50};
constexpr std::chrono::seconds kDrainMax{5};  // what is under way when the server stops

}  // namespace

SqlStream::SqlStream(ApiContext& context, std::shared_ptr<SqlClient> client, std::unique_ptr<views::QueryCursor> cursor,
                     SqlWriter writer, std::shared_ptr<TenantShares> streams)
    : context_(context),
      turns_(context.questions),
      client_(std::move(client)),
      cursor_(std::move(cursor)),
      writer_(std::move(writer)),
      streams_(std::move(streams)),
      pause_(kPauseMin),
      begun_(context.env.clock.monotonic()),
      until_(begun_ + context.limits()->sql_stream_time) {
  writer_.begin(text_);
}

void SqlStream::work() {
  go_on(moment());
}

void SqlStream::go_on(Then then) {
  auto again = [self = shared_from_this()] { self->work(); };
  if (then == Then::again) {
    pause_ = kPauseMin;
    turns_.go_on(client_->tenant, std::move(again));
  } else if (then == Then::wait) {
    context_.workers.post_after(pause_, [turns = turns_, tenant = client_->tenant, again = std::move(again)]() mutable {
      turns.go_on(tenant, std::move(again));
    });
    pause_ = std::min(pause_ * 2, kPauseMax);
  }
}

// Works until it is somebody else's turn.
SqlStream::Then SqlStream::moment() {
  if (client_->gone()) return broken({"cancelled", "Nobody waits for the answer."});
  if (time_is_up()) {
    return broken({"sql_timeout", context_.draining.load() ? "The server stops."
                                                           : "The answer took longer than limits.sql_stream_time."});
  }
  if (client_->out && client_->out->queued() > kAhead) return Then::wait;
  const MonotonicTime rest = context_.env.clock.monotonic() + kMoment;
  for (;;) {
    if (text_.size() >= kPiece || ended_ || (!text_.empty() && context_.env.clock.monotonic() >= rest)) {
      return send(ended_);
    }
    const auto made = cursor_->next(kRows);
    if (const auto* error = std::get_if<views::SqlError>(&made)) return broken(*error);
    const auto rows = std::get<0>(made);
    for (const views::Row& row : rows) writer_.row(text_, row);
    ended_ = rows.empty();
  }
}

SqlStream::Then SqlStream::send(bool last) {
  if (client_->out) {
    if (!text_.empty() && !client_->out->try_write(text_)) {
      return Then::wait;  // for memory that other answers hold, or to see that the client has gone
    }
    text_.clear();
    if (!last) return client_->out->queued() > kAhead ? Then::wait : Then::again;
    let_go(true);
    return Then::over;
  }
  if (last) {
    http::Response response;
    response.content_type = writer_.content_type();
    response.headers = writer_.headers();
    response.body = std::move(text_);
    cursor_.reset();
    client_->responder.send(std::move(response));
    return Then::over;
  }
  share_ = streams_->take(client_->tenant);
  if (!share_) {
    cursor_.reset();
    client_->responder.send(problem(ErrorId::throttled, "As many large answers of SQL as there may be are under way."));
    return Then::over;
  }
  http::Loop& loop = client_->responder.loop();
  loop.post([self = shared_from_this()] { self->begin(); });
  return Then::over;  // begin() goes on
}

// On the connection's loop.
void SqlStream::begin() {
  http::Response head;
  head.content_type = writer_.content_type();
  head.headers = writer_.headers();
  client_->out = client_->responder.stream(head);
  go_on(Then::again);
}

SqlStream::Then SqlStream::broken(const views::SqlError& error) {
  if (!client_->out) {
    cursor_.reset();
    client_->responder.send(sql_problem(error));
    return Then::over;
  }
  if (error.code != "cancelled")
    context_.env.logger.warning("an answer of SQL was cut off on the way", {{"cause", error.message}});
  let_go(false);
  return Then::over;
}

// The cursor first: once the answer has ended, the views may go.
void SqlStream::let_go(bool whole) {
  cursor_.reset();
  if (whole) {
    client_->out->finish();
  } else {
    client_->out->abort();
  }
}

bool SqlStream::time_is_up() {
  const MonotonicTime now = context_.env.clock.monotonic();
  if (context_.draining.load() && !draining_since_) draining_since_ = now;
  return now >= until_ || (draining_since_ && now >= *draining_since_ + kDrainMax);
}

}  // namespace tidemill
