#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "consumers/views/batch.h"
#include "consumers/views/database.h"
#include "consumers/views/fold.h"
#include "consumers/views/row_cache.h"
#include "consumers/views/state.h"
#include "storage/base/time.h"

namespace tidemill::views {

// How the rows of one view go with time: an entry for each row, in the order of when its bytes may go, in the family
// and the write that have the row. Readers do not wait for it: they pass over rows whose deadline has come.
//
// Which rows are there is a function of the records alone but for those that are due and have not been removed yet. One
// thread at a time; owned by the view's upkeep.
class RowExpiry {
 public:
  RowExpiry(const Database& database, const Family& family, const StateLayout& layout, WallTime stream_time)
      : database_(database), family_(family), layout_(layout), expiry_(*layout.expiry()) {
    begin(stream_time);
  }

  // A write begins that moves stream time no further, or through the records of a batch from `first` on: then that is
  // the time at each. Good until the next call.
  void begin(WallTime stream_time);
  std::span<const std::int64_t> times(const ParsedBatch& batch, std::uint32_t first, WallTime stream_time);
  std::int64_t time_at(std::uint32_t record) const { return times_[record]; }
  WallTime now() const { return WallTime(std::chrono::milliseconds(now_)); }  // at the end of that

  // What a write that is being made has to do besides, in this order.
  Result<void> remove_below(std::string_view group_key, WriteSet& set);          // all that a row has but itself
  void place(std::string_view group_key, std::int64_t deadline, WriteSet& set);  // of a new row
  void move(std::string_view group_key, std::int64_t from, std::int64_t to, WriteSet& set);
  // Removes what is due, at most about `entries_max`, and not what `fold` has touched: that comes next time. How many
  // rows.
  Result<std::uint64_t> sweep(std::uint64_t entries_max, const Fold& fold, RowCache& cache, WriteSet& set);
  const std::vector<std::string>& swept() const { return swept_; }  // group keys of these
  // Whether the write was done.
  void written(bool done);
  // Rows are due and were left.
  bool behind() const { return due_ <= now_; }

 private:
  Result<void> remove_below(const Snapshot& snapshot, std::string_view group_key, WriteSet& set);

  const Database& database_;
  const Family& family_;
  const StateLayout& layout_;
  const Expiry& expiry_;
  std::vector<std::int64_t> times_;
  std::int64_t now_ = 0;
  std::int64_t due_ = 0;       // nothing is due before; 0: nobody has looked
  std::int64_t due_next_ = 0;  // after the write that is being made
  std::int64_t placed_ = 0;    // the earliest that it brings
  std::uint64_t removed_ = 0;  // keys
  std::vector<std::string> swept_;
};

}  // namespace tidemill::views
