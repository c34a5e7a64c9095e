#include "api/views/watcher.h"

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "api/errors/problem.h"
#include "api/views/rows_json.h"
#include "engine/json/writer.h"
#include "storage/base/errors.h"
#include "storage/seam/clock.h"

namespace tidemill {
namespace {

constexpr std::size_t kPieceRows = 200;
constexpr std::size_t kAhead = 256 << 10;  // sent and not taken by the client: no more is made
constexpr int kTurns = 4;                  // then it is somebody else's
constexpr std::chrono::seconds kComment{15};
constexpr std::chrono::milliseconds kPauseMin{10}, kPauseMax{1000};

std::string hex(std::uint64_t n) {
  char digits[16];
  return {digits, std::to_chars(digits, digits + sizeof digits, n, 16).ptr};
}

std::optional<std::uint64_t> number(std::string_view hex) {
  std::uint64_t n = 0;
  const auto [end, error] = std::from_chars(hex.data(), hex.data() + hex.size(), n, 16);
  if (error != std::errc() || end != hex.data() + hex.size()) return std::nullopt;
  return n;
}

}  // namespace

// VIEW.SETTLED.TOKEN, and .FINGERPRINT unless it is of all rows. A token has no dot.
std::string encode_cursor(const views::Watch::Cursor& cursor, const std::string& token, std::uint64_t fingerprint) {
  std::string out = hex(cursor.view) + "." + hex(cursor.settled) + "." + token;
  if (fingerprint != 0) out += "." + hex(fingerprint);
  return out;
}

std::optional<ReadCursor> decode_cursor(std::string_view text) {
  std::vector<std::string_view> parts;
  for (std::size_t at = 0;;) {
    const std::size_t dot = text.find('.', at);
    parts.push_back(text.substr(at, dot == std::string_view::npos ? dot : dot - at));
    if (dot == std::string_view::npos) break;
    at = dot + 1;
  }
  if (parts.size() != 3 && parts.size() != 4) return std::nullopt;
  const auto view = number(parts[0]);
  const auto settled = number(parts[1]);
  const auto token = Token::decode(parts[2]);
  const auto fingerprint = parts.size() == 4 ? number(parts[3]) : 0;
  if (!view || !settled || !token || !fingerprint) return std::nullopt;
  return ReadCursor{{*view, *settled, {}}, *token, *fingerprint};
}

Watcher::Watcher(ApiContext& context, WatchMetrics& metrics, std::shared_ptr<Feed> feed, Ask ask,
                 std::shared_ptr<http::Stream> out)
    : Serial(context.env),
      context_(context),
      metrics_(metrics),
      feed_(std::move(feed)),
      ask_(std::move(ask)),
      out_(std::move(out)),
      pause_(kPauseMin) {}

void Watcher::begin() {
  self_ = std::static_pointer_cast<Watcher>(shared_from_this());
  comment_due_ = env_.clock.monotonic() + kComment;
  feed_->join(self_);
  wake();
}

// What it has of the view goes first, and its number: once the answer has ended, the views may go, and the server.
void Watcher::end(bool abort) {
  if (!self_) return;
  metrics_.open.add(-1);
  ask_.share.reset();
  feed_.reset();
  if (abort) {
    out_->abort();
  } else {
    out_->finish();
  }
  const auto last = std::move(self_);
}

// An empty id: who connects again by itself begins anew.
void Watcher::refetch(const std::string& reason) {
  metrics_.refetches.add();
  text_.append("id:\nevent: must-refetch\ndata: {\"reason\":");
  append_json_string(text_, reason);
  text_.append("}\n\n");
  const bool sent = out_->try_write(text_);
  end(!sent);
}

void Watcher::run() {
  if (!self_) return;
  for (int turn = 0; turn < kTurns; ++turn) {
    if (out_->gone()) return end(true);
    if (context_.draining.load()) return end(false);
    // Before each piece: what was made and not handed over yet is not sent any more.
    if (const std::string_view why = ask_.follower.over(context_); !why.empty()) {
      text_.clear();
      return fail(ErrorId::unauthorized, why);
    }
    if (!hand_over()) return;
    if (const auto why = feed_->watch().over()) return refetch(*why);
    const Then then = step();
    if (!self_) return;
    if (then == Then::go_on) continue;
    heartbeat();
    if (!hand_over()) return;
    return wake_at(comment_due_);
  }
  wake();
}

// false: it is for later. The client is slow, or there is no memory for it just now.
bool Watcher::hand_over() {
  if (out_->queued() <= kAhead) {
    if (text_.empty()) return true;
    if (out_->try_write(text_)) {
      text_.clear();
      pause_ = kPauseMin;
      comment_due_ = env_.clock.monotonic() + kComment;
      return true;
    }
  }
  pause_ = std::min(pause_ * 2, kPauseMax);
  wake_at(env_.clock.monotonic() + pause_);
  return false;
}

// The answer has begun: what an error would have said as an answer of its own comes as an event.
void Watcher::fail(ErrorId id, std::string_view detail) {
  out_->write(text_ + "event: error\ndata: " + problem(id, detail).body + "\n");
  end(false);
}

Watcher::Then Watcher::step() {
  const auto then = work();
  if (then) return *then;
  if (then.error() == errno_error(ETIMEDOUT)) {
    fail(ErrorId::query_timeout, "`where` took longer than a second for one row.");
  } else if (then.error() == errno_error(E2BIG)) {
    fail(ErrorId::invalid_parameter,
         "`where` makes a text of more than 64 KiB and twice the row's, or has a LIKE or GLOB pattern of more than 100 "
         "bytes.");
  } else {
    fail(error_id(then.error()), {});
  }
  return Then::idle;
}

Result<Watcher::Then> Watcher::work() {
  switch (state_) {
    case State::begins:
      if (!ask_.refetch.empty()) {
        refetch(ask_.refetch);
        return Then::idle;
      }
      return begin_from(ask_.cursor);
    case State::scans:
      return scan();
    case State::reads_keys:
      return read_keys();
    case State::follows:
      return follow();
  }
  return Then::idle;
}

Result<Watcher::Then> Watcher::begin_from(const std::optional<views::Watch::Cursor>& cursor) {
  ASSIGN_OR_RETURN(const auto begin, feed_->watch().begin(cursor));
  using How = views::Watch::Begin::How;
  if (begin.how == How::refetch) {
    refetch(begin.reason);
    return Then::idle;
  }
  if (begin.how == How::wait) return Then::idle;
  point_ = begin.point;
  cursor_ = begin.cursor;
  resume_ = begin.how == How::follow && cursor ? *cursor : begin.cursor;
  as_of_ = begin.as_of;
  marked_ = false;
  owes_ = true;
  state_ = begin.how == How::follow ? State::follows : State::scans;
  range_ = 0;
  from_.clear();
  after_ = begin.after;
  copies_ = !cursor;
  if (!cursor) text_.append("event: snapshot\ndata: {}\n\n");
  return Then::go_on;
}

Result<Watcher::Then> Watcher::scan() {
  if (range_ == ask_.ranges.size()) {
    state_ = State::follows;
    return Then::go_on;
  }
  ASSIGN_OR_RETURN(auto piece, feed_->watch().scan(ask_.ranges[range_], from_, after_, kPieceRows));
  RETURN_IF_ERROR(append(piece.rows));
  from_ = std::move(piece.next);
  if (from_.empty()) ++range_;
  return Then::go_on;
}

Result<Watcher::Then> Watcher::read_keys() {
  const std::size_t n = std::min(kPieceRows, keys_.size() - key_);
  ASSIGN_OR_RETURN(auto rows, feed_->watch().read(std::span(keys_).subspan(key_, n)));
  RETURN_IF_ERROR(append(rows));
  key_ += n;
  if (key_ < keys_.size()) return Then::go_on;
  mark("progress");
  keys_ = {};
  state_ = State::follows;
  return Then::go_on;
}

Result<Watcher::Then> Watcher::follow() {
  views::Watch::Round round;
  // A shared round may have been made before what this one has read in pieces: not to go back, its own comes first.
  if (ask_.whole && !owes_) {
    ASSIGN_OR_RETURN(const auto shared, feed_->next(point_));
    round = shared->round;
    text_.append(shared->text);
    metrics_.rows.add(shared->rows);
  } else {
    const MonotonicTime begun = env_.clock.monotonic();
    if (begun < feed_->rests_until()) {
      wake_at(feed_->rests_until());
      return Then::idle;
    }
    ASSIGN_OR_RETURN(round, feed_->watch().round(point_, ask_.ranges, kRoundRows));
    RETURN_IF_ERROR(append(round.rows));
    feed_->spent(env_.clock.monotonic() - begun);
  }
  using What = views::Watch::Round::What;
  switch (round.what) {
    case What::nothing:
      if (owes_) mark("current");
      return Then::idle;
    case What::wait:
      wake_at(std::max(feed_->rests_until(), env_.clock.monotonic() + kPauseMin));
      return Then::idle;
    case What::lost:
      return begin_from(resume_);
    case What::touched:
      break;
  }
  point_ = round.to;
  cursor_ = resume_ = round.cursor;
  as_of_ = round.as_of;
  if (!round.keys.empty()) {
    keys_ = std::move(round.keys);
    key_ = 0;
    state_ = State::reads_keys;
    return Then::go_on;
  }
  marked_ = false;
  if (!text_.empty() || owes_) mark("current");  // else with the next heartbeat
  return Then::go_on;
}

Result<void> Watcher::append(std::vector<views::Watch::Touched>& rows) {
  if (ask_.filter) RETURN_IF_ERROR(views::sift(*ask_.filter, rows, copies_ && state_ == State::scans));
  for (const auto& row : rows) append_touched(text_, feed_->watch().columns(), row);
  metrics_.rows.add(rows.size());
  return {};
}

void Watcher::mark(const char* event) {
  text_.append("id: ").append(encode_cursor(cursor_, as_of_.token, ask_.fingerprint)).append("\nevent: ").append(event);
  text_.append("\ndata: {\"as_of\":");
  append_as_of(text_, as_of_);
  text_.append("}\n\n");
  marked_ = true;
  owes_ = state_ == State::reads_keys;
}

void Watcher::heartbeat() {
  if (!text_.empty() || env_.clock.monotonic() < comment_due_) return;
  if (state_ == State::follows && !marked_) return mark("current");
  text_ = ": still here\n\n";
}

}  // namespace tidemill
