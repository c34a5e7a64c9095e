#include "api/views/feed.h"

#include <algorithm>

#include "api/views/rows_json.h"
#include "api/views/watcher.h"
#include "storage/seam/clock.h"

namespace tidemill {
namespace {

constexpr std::size_t kRounds = 4;
constexpr std::size_t kTextMax = 1 << 20;  // of a round that is kept for others
constexpr int kRest = 3;                   // times what the work took
constexpr std::chrono::nanoseconds kRestMax = std::chrono::seconds(1);

}  // namespace

void append_touched(std::string& out, const std::vector<views::Column>& columns, const views::Watch::Touched& row) {
  out.append(row.row ? "event: row\ndata: {\"key\":" : "event: delete\ndata: {\"key\":");
  append_row_array(out, row.key);
  if (row.row) {
    out.append(",\"row\":");
    append_row_object(out, columns, *row.row);
  }
  out.append("}\n\n");
}

Feed::Feed(ApiContext& context, std::shared_ptr<views::Watch> watch) : Serial(context.env), watch_(std::move(watch)) {}

void Feed::begin() {
  listener_ = watch_->listen([weak = weak()] {
    if (const auto self = weak.lock()) static_cast<Feed&>(*self).told();
  });
}

// On the thread that keeps the view.
void Feed::told() {
  const MonotonicTime due = rests_until();
  if (env_.clock.monotonic() < due) return wake_at(due);
  wake();
}

MonotonicTime Feed::rests_until() const {
  return MonotonicTime(std::chrono::nanoseconds(not_before_.load()));
}

void Feed::spent(std::chrono::nanoseconds time) {
  const MonotonicTime next = env_.clock.monotonic() + std::min(kRest * time, kRestMax);
  not_before_ = std::chrono::duration_cast<std::chrono::nanoseconds>(next.time_since_epoch()).count();
}

void Feed::join(const std::shared_ptr<Watcher>& watcher) {
  const std::lock_guard lock(watchers_mutex_);
  std::erase_if(watchers_, [](const auto& w) { return w.expired(); });
  watchers_.insert(watcher);
}

void Feed::run() {
  const std::lock_guard lock(watchers_mutex_);
  for (const auto& weak : watchers_)
    if (const auto watcher = weak.lock()) watcher->wake();
}

Result<std::shared_ptr<const Feed::Shared>> Feed::next(views::Watch::Point from) {
  const std::lock_guard lock(rounds_mutex_);
  for (const auto& made : rounds_)
    if (made->from.write == from.write && made->from.stream_time_ms == from.stream_time_ms) return made;
  const MonotonicTime begun = env_.clock.monotonic();
  auto made = std::make_shared<Shared>();
  made->from = from;
  if (begun < rests_until()) {
    made->round.what = views::Watch::Round::What::wait;
    return std::shared_ptr<const Shared>(std::move(made));
  }
  ASSIGN_OR_RETURN(made->round, watch_->round(from, whole_, Watcher::kRoundRows));
  made->rows = made->round.rows.size();
  for (const auto& row : made->round.rows) append_touched(made->text, watch_->columns(), row);
  made->round.rows = {};
  spent(env_.clock.monotonic() - begun);
  if (made->round.what == views::Watch::Round::What::touched && made->round.keys.empty() &&
      made->text.size() <= kTextMax) {
    rounds_.push_back(made);
    if (rounds_.size() > kRounds) rounds_.pop_front();
  }
  return std::shared_ptr<const Shared>(std::move(made));
}

}  // namespace tidemill
