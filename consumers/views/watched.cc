#include "consumers/views/watched.h"

#include <algorithm>

#include "consumers/views/catalog.h"
#include "consumers/views/key.h"
#include "consumers/views/predicate.h"
#include "storage/base/errors.h"

namespace tidemill::views {
namespace {

constexpr std::uint32_t kVisitedMax = 20'000;  // rows that a piece looks at

std::int64_t stream_time_of(const Checkpoint& checkpoint) {
  return checkpoint.expiry ? checkpoint.expiry->stream_time.time_since_epoch().count() : 0;
}

}  // namespace

std::optional<std::string> WatchedView::over() const {
  if (!live_->dropped) return std::nullopt;
  return "The view was dropped, or has another definition now.";
}

std::vector<Watch::Range> WatchedView::ranges(const RangeOptions& options) const {
  auto [lower, upper] = live_->view->bounds(options);
  if (!upper.empty() && upper <= lower) return {};
  return {Range{std::move(lower), std::move(upper)}};
}

Watch::Range WatchedView::range_of(const Row& key) const {
  Range out;
  out.lower = live_->view->bounds({.prefix = {}, .from = key, .to = {}, .cursor = {}}).first;
  out.upper = behind_prefix(out.lower);  // a whole key is the beginning of no other
  return out;
}

SqlResult<std::unique_ptr<RowFilter>> WatchedView::filter(std::string_view where) const {
  return compile_predicate(*live_->view, where);
}

Result<Watch::Begin> WatchedView::begin(const std::optional<Cursor>& cursor) {
  // In this order: what the snapshot does not have, comes with a later number.
  const std::uint64_t settled = live_->settled;
  const std::uint64_t seen = live_->changes->latest();
  const auto snapshot = database_.snapshot();
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, live_->view->checkpoint(*snapshot));
  Begin out;
  out.point = {seen, stream_time_of(checkpoint)};
  out.cursor = {live_->view->id(), settled, checkpoint.position};
  out.as_of = as_of_(checkpoint);
  if (!cursor) return out;
  const auto refetch = [&](std::string reason) {
    out.how = Begin::How::refetch;
    out.reason = std::move(reason);
    return out;
  };
  if (cursor->view != live_->view->id()) return refetch("The view was made anew, or has another definition now.");
  if (checkpoint.position < cursor->position) {  // never back to what is older
    out.how = Begin::How::wait;
    return out;
  }
  if (const auto kept = live_->changes->begin(cursor->position)) {
    out.how = Begin::How::follow;
    out.point = {kept->after, kept->stream_time_ms};
    return out;
  }
  if (!live_->view->definition().lookups.empty())
    return refetch("The view looks up others, and records that are counted again may find other rows.");
  if (cursor->settled != settled)
    return refetch("Records of the quarantine were counted, and it is not known any more in which rows.");
  if (checkpoint.position == cursor->position) {
    out.how = Begin::How::follow;
    return out;
  }
  if (live_->view->layout().expiry() != nullptr)
    return refetch("Rows of this view go with time, and it is not known any more which have gone.");
  out.after = cursor->position.sequence();
  return out;
}

Result<Watch::Touched> WatchedView::touched(std::string_view group_key) const {
  Touched out;
  out.group_key = group_key;
  if (!decode_key(group_key, live_->view->definition().groups.size(), out.key))
    return make_error_code(StorageErrc::damaged);
  return out;
}

Result<Watch::Piece> WatchedView::scan(const Range& range, const std::string& from, Sequence after,
                                       std::size_t rows_max) {
  Piece out;
  const auto snapshot = database_.snapshot();
  ASSIGN_OR_RETURN(auto reader, RowReader::open(*live_->view, *snapshot));
  const auto cursor = snapshot->cursor(*live_->view->family(), row_key(std::max(range.lower, from)),
                                       range.upper.empty() ? std::string(1, kRowSpace + 1) : row_key(range.upper));
  for (std::uint32_t visited = 0; cursor->valid(); cursor->next(), ++visited) {
    const std::string_view group_key = cursor->key().substr(1);
    if (visited == kVisitedMax || out.rows.size() == rows_max) {
      out.next = group_key;
      break;
    }
    if (reader.gone(cursor->value())) continue;
    if (last_of(cursor->value()) <= after.value() && after != Sequence(0)) continue;
    ASSIGN_OR_RETURN(Touched row, touched(group_key));
    RETURN_IF_ERROR(reader.show(group_key, cursor->value(), row.row.emplace()));
    out.rows.push_back(std::move(row));
  }
  if (const ErrorCode error = cursor->error()) return error;
  return out;
}

Result<Watch::Round> WatchedView::round(Point from, std::span<const Range> ranges, std::size_t rows_max) {
  Round out;
  const std::uint64_t settled = live_->settled;
  const std::uint64_t seen = live_->changes->latest();
  const auto snapshot = database_.snapshot();
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, live_->view->checkpoint(*snapshot));
  if (live_->applied() < checkpoint.position) {  // it is seen here and was not told yet
    out.what = Round::What::wait;
    return out;
  }
  auto since = live_->changes->since(from.write, seen, checkpoint.position);
  if (!since) {
    out.what = Round::What::lost;
    return out;
  }
  const std::int64_t now = stream_time_of(checkpoint);
  if (since->to == from.write && now <= from.stream_time_ms) return out;
  out.what = Round::What::touched;
  out.to = {since->to, std::max(now, from.stream_time_ms)};
  out.cursor = {live_->view->id(), settled, checkpoint.position};
  out.as_of = as_of_(checkpoint);
  RETURN_IF_ERROR(add_gone(*snapshot, from.stream_time_ms, now, since->keys));
  std::erase_if(since->keys, [&](const std::string& key) {
    return std::none_of(ranges.begin(), ranges.end(), [&](const Range& r) { return r.has(key); });
  });
  if (since->keys.size() > rows_max) {
    out.keys = std::move(since->keys);
    return out;
  }
  ASSIGN_OR_RETURN(out.rows, read(*snapshot, since->keys));
  return out;
}

// Rows whose deadline came in between; where their bytes have been removed too, that was told.
Result<void> WatchedView::add_gone(const Snapshot& snapshot, std::int64_t since_ms, std::int64_t now_ms,
                                   std::vector<std::string>& keys) const {
  const Expiry* const expiry = live_->view->layout().expiry();
  if (expiry == nullptr || now_ms <= since_ms) return {};
  const Family& family = *live_->view->family();
  const std::size_t told = keys.size();
  const auto entries = snapshot.cursor(family, expiry_key(since_ms, {}), expiry_key(expiry->bucket(now_ms) + 1, {}));
  for (; entries->valid(); entries->next()) {
    const auto entry = expiry_entry(entries->key());
    if (!entry) return make_error_code(StorageErrc::damaged);
    ASSIGN_OR_RETURN(const auto row, snapshot.get(family, row_key(entry->group_key)));
    if (!row) continue;
    const std::int64_t deadline = deadline_of(*row);
    if (deadline > since_ms && deadline <= now_ms) keys.emplace_back(entry->group_key);
  }
  if (const ErrorCode error = entries->error()) return error;
  if (keys.size() == told) return {};
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return {};
}

Result<std::vector<Watch::Touched>> WatchedView::read(std::span<const std::string> group_keys) {
  return read(*database_.snapshot(), group_keys);
}

Result<std::vector<Watch::Touched>> WatchedView::read(const Snapshot& snapshot,
                                                      std::span<const std::string> group_keys) const {
  std::vector<Touched> out;
  ASSIGN_OR_RETURN(auto reader, RowReader::open(*live_->view, snapshot));
  for (const std::string& group_key : group_keys) {
    ASSIGN_OR_RETURN(Touched row, touched(group_key));
    ASSIGN_OR_RETURN(const auto value, snapshot.get(*live_->view->family(), row_key(group_key)));
    if (value && !reader.gone(*value)) RETURN_IF_ERROR(reader.show(group_key, *value, row.row.emplace()));
    out.push_back(std::move(row));
  }
  return out;
}

Result<void> sift(RowFilter& filter, std::vector<Watch::Touched>& rows, bool first_copy) {
  for (auto& row : rows) {
    if (!row.row) continue;
    ASSIGN_OR_RETURN(const bool fits, filter.fits(*row.row));
    if (!fits) row.row.reset();
  }
  if (first_copy) std::erase_if(rows, [](const Watch::Touched& row) { return !row.row; });
  return {};
}

std::shared_ptr<Watch> Catalog::watch(const QualifiedName& view) {
  const auto there = entry(view);
  if (!there) return nullptr;
  return std::make_shared<WatchedView>(*database_, there->live,
                                       [this, there = *there](const Checkpoint& c) { return as_of(there, c); });
}

}  // namespace tidemill::views
