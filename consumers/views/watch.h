#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "consumers/views/views.h"

namespace tidemill::views {

// A condition over the rows of a view. One thread at a time.
class RowFilter {
 public:
  virtual ~RowFilter() = default;
  // NULL is not true, nor is what SQL cannot work out of this row. ETIMEDOUT: it took a processor longer than a second.
  // E2BIG: it makes texts longer than 64 KiB and than twice the row's, or has a LIKE pattern longer than 100 bytes.
  virtual Result<bool> fits(const Row& row) = 0;
};

// A view as it changes, for who keeps a copy of its rows somewhere else. Rows are sent as they are now, not each state
// between: what was touched since some point is read again, so a watcher may be as slow as it likes. Any thread; blocks
// on the store. Must not outlive the Views.
class Watch {
 public:
  // The key is in `group_key` too, in an order that bytes have.
  struct Touched {
    std::string group_key;
    Row key;
    std::optional<Row> row;  // nullopt: it is not there (any more)
  };
  struct Range {  // of group keys, whole ones or their beginnings
    std::string lower;
    std::string upper;  // exclusive; empty: no bound
    bool has(std::string_view group_key) const { return group_key >= lower && (upper.empty() || group_key < upper); }
  };
  struct Point {  // in this process
    std::uint64_t write = 0;
    std::int64_t stream_time_ms = 0;
  };
  // For who comes back, also to another process. Everything up to `position` was sent.
  struct Cursor {
    std::uint64_t view = 0;     // this definition of it
    std::uint64_t settled = 0;  // how many records had been counted after their turn
    Position position;
  };

  virtual ~Watch() = default;
  virtual const std::vector<Column>& columns() const = 0;
  virtual std::optional<std::string> over() const = 0;  // why there is no more to come, a sentence
  // `then` is called after each write, on the writer's thread: it must not block. Until the handle goes.
  virtual std::shared_ptr<void> listen(std::function<void()> then) = 0;
  virtual std::vector<Range> ranges(const RangeOptions& options) const = 0;
  virtual Range range_of(const Row& key) const = 0;
  // `where`: an SQL expression over the columns (docs/http-api.md). The error's sentence says what is wrong, and where.
  virtual SqlResult<std::unique_ptr<RowFilter>> filter(std::string_view where) const = 0;

  // Where one begins who has nothing, or what is before `cursor`.
  struct Begin {
    enum class How {
      follow,   // from `point` on; nothing else is missing
      scan,     // read all that was touched after `after`, then follow
      wait,     // the view has not been where the cursor is since the start: listeners hear when it has
      refetch,  // what went meanwhile is not known: only a new copy will do
    } how = How::scan;
    std::string reason;  // to refetch, a sentence
    Point point;
    Sequence after{0};
    Cursor cursor;  // of the point
    AsOf as_of;
  };
  virtual Result<Begin> begin(const std::optional<Cursor>& cursor) = 0;

  // What is in these ranges, after `from`, a piece.
  struct Piece {
    std::vector<Touched> rows;
    std::string next;  // group key where to go on; empty: that was all
  };
  virtual Result<Piece> scan(const Range& range, const std::string& from, Sequence after, std::size_t rows_max) = 0;

  // What was touched after `from`. All of it is as of one moment, where it is not more than `rows_max`; else `keys`
  // says what is to be read.
  struct Round {
    enum class What {
      nothing,
      touched,
      wait,  // a write is under way: listeners hear of it in a moment
      lost,  // that is not known any more
    } what = What::nothing;
    Point to;
    Cursor cursor;
    AsOf as_of;
    std::vector<Touched> rows;
    std::vector<std::string> keys;
  };
  virtual Result<Round> round(Point from, std::span<const Range> ranges, std::size_t rows_max) = 0;
  virtual Result<std::vector<Touched>> read(std::span<const std::string> group_keys) = 0;
};

// What of `rows` a watcher is sent who wants only rows that fit. Nobody keeps who has which row: one that is there and
// does not fit is told as gone, to all who are past their first copy, and for most of them there is nothing to remove.
Result<void> sift(RowFilter& filter, std::vector<Watch::Touched>& rows, bool first_copy);

}  // namespace tidemill::views
