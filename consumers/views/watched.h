#pragma once

#include <functional>
#include <memory>

#include "consumers/views/database.h"
#include "consumers/views/stream_views.h"
#include "consumers/views/watch.h"

namespace tidemill::views {

// A view that is kept up to date here, for watchers: what its writer says was touched, read from a snapshot that is not
// older, and where that is not known any more, its rows' last sequences.
class WatchedView final : public Watch {
 public:
  using MakeAsOf = std::function<AsOf(const Checkpoint&)>;
  WatchedView(const Database& database, std::shared_ptr<const LiveView> live, MakeAsOf as_of)
      : database_(database),
        live_(std::move(live)),
        columns_(live_->view->definition().output()),
        as_of_(std::move(as_of)),
        watching_(live_->changes->watch()) {}

  const std::vector<Column>& columns() const override { return columns_; }
  std::optional<std::string> over() const override;
  std::shared_ptr<void> listen(std::function<void()> then) override { return live_->changes->listen(std::move(then)); }
  std::vector<Range> ranges(const RangeOptions& options) const override;
  Range range_of(const Row& key) const override;
  SqlResult<std::unique_ptr<RowFilter>> filter(std::string_view where) const override;
  Result<Begin> begin(const std::optional<Cursor>& cursor) override;
  Result<Piece> scan(const Range& range, const std::string& from, Sequence after, std::size_t rows_max) override;
  Result<Round> round(Point from, std::span<const Range> ranges, std::size_t rows_max) override;
  Result<std::vector<Touched>> read(std::span<const std::string> group_keys) override;

 private:
  Result<std::vector<Touched>> read(const Snapshot& snapshot, std::span<const std::string> group_keys) const;
  Result<void> add_gone(const Snapshot& snapshot, std::int64_t since_ms, std::int64_t now_ms,
                        std::vector<std::string>& keys) const;
  Result<Touched> touched(std::string_view group_key) const;

  const Database& database_;
  const std::shared_ptr<const LiveView> live_;
  const std::vector<Column> columns_;
  const MakeAsOf as_of_;
  const std::shared_ptr<void> watching_;
};

}  // namespace tidemill::views
