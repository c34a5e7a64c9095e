#include "consumers/views/row_expiry.h"

#include <algorithm>

#include "consumers/views/store_keys.h"
#include "storage/base/errors.h"

namespace tidemill::views {
namespace {

constexpr std::uint64_t kMembersOneByOne = 1'000;

}  // namespace

void RowExpiry::begin(WallTime stream_time) {
  now_ = stream_time.time_since_epoch().count();
  placed_ = INT64_MAX;
  swept_.clear();
  due_next_ = due_;
}

std::span<const std::int64_t> RowExpiry::times(const ParsedBatch& batch, std::uint32_t first, WallTime stream_time) {
  begin(stream_time);
  times_.assign(batch.size(), now_);
  for (std::uint32_t i = first; i < batch.size(); ++i) {
    now_ = std::max<std::int64_t>(now_, batch.record(i).arrival.time_since_epoch().count());
    times_[i] = now_;
  }
  return times_;
}

Result<void> RowExpiry::remove_below(std::string_view group_key, WriteSet& set) {
  if (!layout_.has_members() && !layout_.lineage()) return {};
  return remove_below(*database_.snapshot(), group_key, set);
}

// A set of a million goes by one range; small ones key by key, for ranges are what readers have to look through.
Result<void> RowExpiry::remove_below(const Snapshot& snapshot, std::string_view group_key, WriteSet& set) {
  for (const char space : {kMemberSpace, kLineageSpace}) {
    if (space == kMemberSpace ? !layout_.has_members() : !layout_.lineage()) continue;
    const std::string first = std::string(1, space).append(group_key);
    const std::string end = behind_prefix(first);
    const auto cursor = snapshot.cursor(family_, first, end);
    std::uint64_t n = 0;
    for (; cursor->valid() && n < kMembersOneByOne; cursor->next(), ++n) set.remove(cursor->key());
    if (cursor->valid()) set.remove_range(first, end);
    if (const ErrorCode error = cursor->error()) return error;
    removed_ += n;
  }
  return {};
}

void RowExpiry::place(std::string_view group_key, std::int64_t deadline, WriteSet& set) {
  const std::int64_t bucket = expiry_.bucket(deadline);
  set.put(expiry_key(bucket, group_key), {});
  placed_ = std::min(placed_, bucket);
}

void RowExpiry::move(std::string_view group_key, std::int64_t from, std::int64_t to, WriteSet& set) {
  const std::int64_t bucket = expiry_.bucket(from);
  if (bucket == expiry_.bucket(to)) return;
  set.remove(expiry_key(bucket, group_key));
  place(group_key, to, set);
}

Result<std::uint64_t> RowExpiry::sweep(std::uint64_t entries_max, const Fold& fold, RowCache& cache, WriteSet& set) {
  due_next_ = std::min(due_, placed_);
  if (due_ > now_) return 0;
  std::int64_t left = INT64_MAX;  // the earliest that stays
  removed_ = 0;
  const auto snapshot = database_.snapshot();
  const auto cursor = snapshot->cursor(family_, expiry_key(due_, {}), std::string(1, kExpirySpace + 1));
  for (; cursor->valid(); cursor->next()) {
    const auto entry = expiry_entry(cursor->key());
    if (!entry) return make_error_code(StorageErrc::damaged);
    if (entry->bucket_ms > now_ || removed_ >= entries_max) {
      left = std::min(left, entry->bucket_ms);
      break;
    }
    if (fold.find(entry->group_key) != nullptr) {
      left = std::min(left, entry->bucket_ms);
      continue;
    }
    RETURN_IF_ERROR(remove_below(*snapshot, entry->group_key, set));
    set.remove(row_key(entry->group_key));
    set.remove(cursor->key());
    cache.erase(entry->group_key);
    swept_.emplace_back(entry->group_key);
    removed_ += 1;
  }
  if (const ErrorCode error = cursor->error()) return error;
  due_next_ = std::min(left, placed_);
  return swept_.size();
}

// What was not written leaves the store as it was; where it is not known how, the next sweep looks from the beginning.
void RowExpiry::written(bool done) {
  due_ = done ? due_next_ : 0;
}

}  // namespace tidemill::views
