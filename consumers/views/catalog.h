#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "consumers/views/bases.h"
#include "consumers/views/database.h"
#include "consumers/views/query.h"
#include "consumers/views/stream_views.h"
#include "consumers/views/view_events.h"
#include "consumers/views/views.h"
#include "engine/engine.h"

namespace tidemill::views {

// All views: their definitions (folded from the system stream), the database, and for each stream that has views the
// consumer that keeps them. Any thread; create() and drop() one at a time.
class Catalog final : public Views, private QuerySource {
 public:
  Catalog(Env& env, Engine& engine, const Options& options, std::unique_ptr<Database> database);
  ~Catalog() override;
  Result<void> start();

  SqlResult<ViewInfo> create(std::string_view name, std::string_view sql) override;
  Result<bool> drop(std::string_view name) override;
  std::vector<ViewInfo> list() const override;
  std::vector<FailedView> failed() const override;
  std::optional<ViewInfo> find(std::string_view name) const override;
  std::vector<std::string> reading(std::string_view stream) const override;
  std::string release(const Stream& stream, Sequence target, const std::function<void(Sequence)>& drop) override;
  Result<std::optional<GetResult>> get(std::string_view view, const Row& key) override;
  Result<std::optional<RangeResult>> range(std::string_view view, const RangeOptions& options) override;
  SqlResult<QueryEnd> query(std::string_view sql, const Row& params, const QueryLimits& limits,
                            QuerySink& sink) override;
  std::shared_ptr<void> when_applied(std::string_view view, Position position, std::function<void()> then) override;
  bool ready() const override;
  Result<std::vector<Difference>> rebuild_and_compare(std::string_view view) override;
  StoreStatus store() const override;
  Result<void> close() override;
  std::uint64_t rows_visited_last() const { return executor_.rows_visited_last(); }  // by a latest query

 private:
  struct Entry {
    std::shared_ptr<LiveView> live;
    std::shared_ptr<Stream> stream;
  };
  struct Defined {
    std::uint64_t id;
    ViewCreated event;
  };

  Tables tables() const override;
  std::unique_ptr<Snapshot> snapshot() const override { return database_->snapshot(); }
  Result<std::optional<AsOf>> as_of(std::string_view view) override;
  Result<AsOf> as_of(const Snapshot& snapshot, const std::vector<std::string>& views) const override;

  Result<void> fold_definitions();
  SqlResult<bool> attach(const Defined& defined, const Definition& definition, bool starting);
  Result<std::shared_ptr<Family>> family_of(const Defined& defined, const Stream& stream, bool starting);
  std::map<std::string, Sequence> families() const;
  Result<bool> drop_failed(std::string_view name);
  std::optional<Entry> entry(std::string_view name) const;
  ViewInfo info(const Entry& entry) const;
  AsOf as_of(const Entry& entry, const Checkpoint& checkpoint) const;

  Env& env_;
  Engine& engine_;
  const Options options_;
  const std::unique_ptr<Database> database_;
  const std::shared_ptr<Bases> bases_;
  std::mutex changes_;  // create, drop, close, release: one at a time

  mutable std::mutex mutex_;                             // what follows; never held while anything blocks
  std::map<std::string, Defined, std::less<>> defined_;  // as the system stream says
  std::map<std::string, Entry, std::less<>> entries_;
  std::map<std::string, std::string, std::less<>> failed_;  // defined, and not in entries_: why
  std::map<StreamId, std::shared_ptr<StreamViews>> consumers_;
  std::uint64_t version_ = 0;  // of entries_
  bool closed_ = false;
  QueryExecutor executor_{*this};
};

}  // namespace tidemill::views
