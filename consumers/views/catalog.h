#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "consumers/views/audit.h"
#include "consumers/views/bases.h"
#include "consumers/views/database.h"
#include "consumers/views/definitions.h"
#include "consumers/views/history.h"
#include "consumers/views/query.h"
#include "consumers/views/statement.h"
#include "consumers/views/stream_views.h"
#include "consumers/views/views.h"
#include "engine/engine.h"

namespace tidemill::views {

// All views: their definitions (folded from the system stream), the database, and for each stream that has views the
// consumer that keeps them. Any thread; create(), define() and drop() one at a time.
//
// A definition that is to take the place of another (`view.altering`) is built aside, in a family of its own, and kept
// up with the others when it has caught up. Then `view.created` makes it the one that counts, and after that is durable
// readers are shown it: a crash leaves the old one, which goes on being served while the build goes on, or the new one.
class Catalog final : public AllViews, private QuerySource {
 public:
  Catalog(Env& env, Engine& engine, const Options& options, std::unique_ptr<Database> database);
  ~Catalog() override;
  Result<void> start();

  std::shared_ptr<Views> of(std::string_view tenant) override;
  std::vector<ViewInfo> list() const override { return list(std::nullopt); }
  std::vector<FailedView> failed() const override { return failed(std::nullopt); }
  bool ready() const override { return ready(std::nullopt); }
  HistoryStatus history() const override { return history(std::nullopt); }
  StoreStatus store() const override;
  std::string release(const Stream& stream, Sequence target, const std::function<void(Sequence)>& drop) override;
  Result<void> close() override;

  // What Views says, of the views of a tenant; nullopt: of all.
  using Whose = std::optional<std::string_view>;
  using GetResult = Views::GetResult;
  using PastResult = Views::PastResult;
  using WhyAnswer = Views::WhyAnswer;
  using Difference = Views::Difference;
  SqlResult<ViewInfo> create(const QualifiedName& name, std::string_view sql);
  SqlResult<bool> drop(const QualifiedName& name);
  SqlResult<ViewChange> define(const QualifiedName& name, std::string_view sql);
  std::optional<SqlResult<StatementResult>> run(const std::string& tenant, std::string_view sql);
  std::vector<ViewInfo> list(Whose whose) const;
  std::vector<FailedView> failed(Whose whose) const;
  bool ready(Whose whose) const;
  std::optional<ViewInfo> find(const QualifiedName& name) const;
  std::vector<std::string> reading(const QualifiedName& stream) const;
  Result<std::optional<AsOf>> as_of(const QualifiedName& view);
  Result<std::optional<GetResult>> get(const QualifiedName& view, const Row& key);
  Result<std::optional<GetResult>> get_in_memory(const QualifiedName& view, const Row& key);
  Result<std::optional<RangeResult>> range(const QualifiedName& view, const RangeOptions& options);
  Result<std::optional<PastResult>> get_at(const QualifiedName& view, const Row& key, const PastOptions& options);
  Result<std::optional<WhyAnswer>> why(const QualifiedName& view, const Row& key, const WhyOptions& options);
  Result<std::optional<QuarantineResult>> quarantine(const QualifiedName& view, Sequence from, std::uint32_t limit);
  SqlResult<DecisionResult> decide(const QualifiedName& view, const DecisionRequest& request);
  SqlResult<std::unique_ptr<QueryCursor>> query(std::string_view tenant, std::string_view sql, const Row& params,
                                                const QueryLimits& limits);
  SqlResult<std::unique_ptr<QueryCursor>> query_at(std::string_view tenant, std::string_view sql, const Row& params,
                                                   const QueryLimits& limits, const Views::At& at);
  HistoryStatus history(Whose whose) const;
  std::shared_ptr<void> when_applied(const QualifiedName& view, Position position, std::function<void()> then);
  std::shared_ptr<Watch> watch(const QualifiedName& view);
  Result<std::vector<Difference>> rebuild_and_compare(const QualifiedName& view);
  std::uint64_t rows_visited_last() const { return executor_.rows_visited_last(); }  // by a latest query

 private:
  struct Entry {
    std::shared_ptr<LiveView> live;
    std::shared_ptr<Stream> stream;
  };
  using Defined = ViewDefinitions::Defined;
  enum class Existing { refuse, keep, replace, require };  // what becomes of a view of that name
  struct Wanted {                                          // a definition that was understood
    QualifiedName name;
    std::string source;
    Definition definition;
    StatementHead head;
    std::shared_ptr<Stream> stream;
  };

  Tables tables(std::string_view tenant) const override;
  std::unique_ptr<Snapshot> snapshot() const override { return database_->snapshot(); }
  Result<AsOf> as_of(const Snapshot& snapshot, std::string_view tenant,
                     const std::vector<std::string>& views) const override;

  Result<void> fold_definitions();
  enum class Attach { at_start, anew, aside_at_start, aside };
  SqlResult<bool> attach(const Defined& defined, const Definition& definition, Attach how);
  void attach_at_start(const Defined& defined, bool aside);

  // catalog_change.cc; with changes_ held
  SqlResult<Wanted> understand(const QualifiedName& name, std::string_view sql) const;
  SqlResult<ViewChange> define(const QualifiedName& name, std::string_view sql, Existing existing);
  SqlResult<ViewChange> make(const Wanted& wanted, ViewChange change, bool mends);
  SqlResult<ViewChange> alter(const Wanted& wanted, ViewChange change);
  SqlResult<ViewChange> drop_statement(const std::string& tenant, const StatementHead& head);
  Result<bool> drop_held(const QualifiedName& name);
  SqlResult<Sequence> first_of(const Wanted& wanted) const;
  void look(const Wanted& wanted, ViewChange& change) const;
  SqlResult<Explanation> explain(const std::string& tenant, std::string_view sql) const;

  // catalog_lookups.cc
  std::vector<std::string> looking_up(const QualifiedName& name) const;  // names of the views that look it up
  std::optional<SqlError> refuse_in_use(const QualifiedName& name, std::string_view to_do) const;
  std::optional<SqlError> refuse_lookups(const Wanted& wanted) const;
  std::shared_ptr<const View> view_named(const QualifiedName& name) const;
  SqlResult<std::vector<std::shared_ptr<const LiveView>>> lookups_of(const std::string& tenant,
                                                                     const Definition& definition) const;
  void attach_all_at_start(const ViewDefinitions& defined);

  // catalog_decide.cc
  struct Meant {
    std::vector<Decided> decided;
    std::optional<Sequence> next;
  };
  Result<Meant> meant(const Entry& entry, const DecisionRequest& request) const;
  static Result<void> show_changes(const View& view, StreamViews::Trial& trial, DecisionResult& result);

  // catalog_past.cc
  Result<std::variant<Sequence, PastRefusal>> sequence_at(const Entry& entry, WallTime time) const;

  // catalog_history.cc
  History::Catalog for_history();
  std::vector<PointView> served() const;
  Result<void> begin_flush() const;
  struct Named {  // a view that a statement reads
    std::string name;
    std::uint64_t id;
    StreamId stream;
    Sequence applied;
  };
  std::vector<Named> named(std::string_view tenant, const std::vector<std::string>& views) const;
  std::optional<SqlError> refuse_at(const std::vector<Named>& views, const Views::At& at) const;
  SqlResult<std::uint64_t> point_for(const std::vector<Named>& views, const Views::At& at) const;
  KeptPoint shown(const History::Point& point, Whose whose) const;

  // catalog_audit.cc
  void audit_later(std::chrono::nanoseconds pause);
  void go_on_with_audit();
  std::optional<Entry> next_to_audit();

  // catalog_builds.cc
  std::function<void()> later(std::function<void(Catalog&)> work);
  void built(std::uint64_t id);
  void show_built(std::uint64_t id);
  void give_up_builds(const QualifiedName& name);
  void remove_rows(const QualifiedName& name, std::uint64_t id);
  void remove_if_empty(const Stream& stream, const StreamViews& consumer);
  std::optional<Building> building(const Entry& entry) const;
  Result<std::shared_ptr<Family>> family_of(const Defined& defined, const Stream& stream, bool starting);
  std::map<std::string, Sequence> families() const;
  std::optional<Entry> entry(const QualifiedName& name) const;
  ViewInfo info(const Entry& entry) const;
  AsOf as_of(const Entry& entry, const Checkpoint& checkpoint) const;
  Result<std::optional<GetResult>> get(const Entry& entry, const Snapshot& snapshot, const Row& key) const;

  Env& env_;
  Engine& engine_;
  const Options options_;
  const std::unique_ptr<Database> database_;
  const std::shared_ptr<Bases> bases_;
  const std::shared_ptr<History> history_;
  const std::shared_ptr<BuildPace> pace_ = std::make_shared<BuildPace>();
  struct Link {  // to this, for what runs later
    std::shared_mutex mutex;
    Catalog* catalog = nullptr;
  };
  const std::shared_ptr<Link> link_ = std::make_shared<Link>();
  std::unique_ptr<Audit> audit_;  // under way: of one task after the other
  QualifiedName audited_last_;    // likewise
  std::mutex changes_;            // define, drop, close, release, a build that ends: one at a time

  mutable std::mutex mutex_;  // what follows; never held while anything blocks
  ViewDefinitions defined_;   // as the system stream says
  std::map<QualifiedName, Entry> entries_;
  std::map<std::uint64_t, Entry> builds_;        // what is not shown yet, by the id of its definition
  std::map<QualifiedName, std::string> failed_;  // defined, and not in entries_: why
  std::map<StreamId, std::shared_ptr<StreamViews>> consumers_;
  std::map<std::string, std::uint64_t, std::less<>> versions_;  // of entries_, by tenant
  bool closed_ = false;
  QueryExecutor executor_{*this};
};

}  // namespace tidemill::views
