#include "consumers/views/catalog.h"

#include <algorithm>
#include <set>

#include "consumers/views/compare.h"
#include "consumers/views/expiry_options.h"
#include "consumers/views/sqlite.h"
#include "consumers/views/store_status.h"
#include "consumers/views/why.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/seam/random.h"

namespace tidemill::views {
namespace {

// The note says how far readers may have seen; further than the log goes they cannot have.
Position shown_before(const Log& log) {
  const Sequence durable = log.durable();
  return Position::through(std::min(durable, log.noted(kShownNote).value_or(durable)));
}

}  // namespace

Result<std::unique_ptr<AllViews>> AllViews::open(Env& env, Engine& engine, const Options& options) {
  configure_sqlite();
  // A third for rows that were written lately, the rest is RocksDB's.
  ASSIGN_OR_RETURN(auto database, Database::open_or_begin_anew(env, options.directory, options.memory_bytes / 3 * 2));
  auto catalog = std::make_unique<Catalog>(env, engine, options, std::move(database));
  RETURN_IF_ERROR(catalog->start());
  return std::unique_ptr<AllViews>(std::move(catalog));
}

Catalog::Catalog(Env& env, Engine& engine, const Options& options, std::unique_ptr<Database> database)
    : env_(env),
      engine_(engine),
      options_(options),
      database_(std::move(database)),
      bases_(std::make_shared<Bases>(
          env, options.directory + kBasesSuffix, *database_, [this] { return families(); },
          [this] { engine_.check_retention(); })),
      history_(std::make_shared<History>(
          env, History::Options{options.directory + kHistorySuffix, options.history_every, options.history_keep},
          *database_, for_history())) {
  link_->catalog = this;
}

Catalog::~Catalog() {
  (void)close();
}

Result<void> Catalog::start() {
  RETURN_IF_ERROR(engine_.system().fold("view.", [this](const SystemStream::Event& event) {
    const std::lock_guard lock(mutex_);
    defined_.fold(event);
  }));
  RETURN_IF_ERROR(bases_->open());
  RETURN_IF_ERROR(history_->open());
  ViewDefinitions defined;
  {
    const std::lock_guard lock(mutex_);
    defined = defined_;
  }
  // Families that no definition names: of a view dropped or changed just before a crash, or of a comparison cut short.
  std::set<std::string> known;
  defined.each_family([&](const Defined& d) { known.insert(family_name(d.id)); });
  for (const std::string& name : database_->names()) {
    if (!known.contains(name)) RETURN_IF_ERROR(database_->drop(name));
  }
  attach_all_at_start(defined);
  std::vector<std::pair<std::shared_ptr<Stream>, std::shared_ptr<StreamViews>>> groups;
  for (const auto& [id, consumer] : consumers_) groups.emplace_back(engine_.find(id), consumer);
  for (auto& [stream, consumer] : groups) {
    RETURN_IF_ERROR(engine_.groups().add(stream->name() + ":views", stream, std::shared_ptr<Consumer>(consumer)));
  }
  history_->begin();
  // Somewhere within the first interval: a server that is started anew each day has one all the same.
  if (options_.audit.count() > 0) audit_later(options_.audit / 64 * static_cast<int>(env_.random.next() % 64 + 1));
  return {};
}

// The others go on where one fails: it must not keep the server down.
void Catalog::attach_at_start(const Defined& d, bool aside) {
  const auto stream = engine_.find(d.event.stream);
  auto split_up = split(d.event.sql, {stream ? stream->definition().fields : decltype(SplitOptions::fields){},
                                      [&](std::string_view name) {
                                        return view_named({d.event.name.tenant, std::string(name)});
                                      }});
  SqlResult<bool> attached = SqlError{"no_such_stream", "The view's stream is gone."};
  if (auto* error = std::get_if<SqlError>(&split_up)) {
    attached = *error;
  } else if (stream) {
    attached = attach(d, std::get<Definition>(split_up), aside ? Attach::aside_at_start : Attach::at_start);
  }
  const auto* error = std::get_if<SqlError>(&attached);
  if (error == nullptr) return;
  env_.logger.error(
      aside ? "a view's new definition cannot be built; the one of before is served" : "a view cannot be opened",
      {{"view", text_of(d.event.name)}, {"cause", error->message}});
  const std::lock_guard lock(mutex_);
  if (!aside) failed_.insert_or_assign(d.event.name, error->message);
}

SqlResult<bool> Catalog::attach(const Defined& defined, const Definition& definition, Attach how) {
  const bool starting = how == Attach::at_start || how == Attach::aside_at_start;
  const bool aside = how == Attach::aside || how == Attach::aside_at_start;
  const auto stream = engine_.find(defined.event.stream);
  if (!stream) return SqlError{"no_such_stream", "The view's stream is gone."};
  auto family = family_of(defined, *stream, starting);
  if (!family) return SqlError{"view_damaged", "The view's store cannot be opened: " + family.error().message() + "."};
  auto view = std::make_shared<const View>(defined.id, defined.event.name, defined.event.source, definition, *family);
  auto lookups = lookups_of(defined.event.name.tenant, definition);
  if (auto* error = std::get_if<SqlError>(&lookups)) return *error;
  LiveView::Begin begin;
  begin.lookups = std::get<0>(std::move(lookups));
  begin.from = defined.event.from;
  begin.aside = aside;
  {
    const std::lock_guard lock(mutex_);
    if (const auto* there = defined_.find(defined.event.name)) begin.decisions = there->decisions;
  }
  // What is built aside must not be shown before it is where its predecessor was, either.
  if (starting) begin.shown_before = shown_before(stream->log());
  if (!starting) begin.build_until = Position::through(stream->log().durable());
  auto live = std::make_shared<LiveView>(std::move(view), begin);

  std::shared_ptr<StreamViews> consumer;
  bool made = false;
  {
    const std::lock_guard lock(mutex_);
    auto& slot = consumers_[stream->definition().id];
    if (!slot) {
      StreamViews::Options options{options_.memory_bytes / 12, options_.builds, pace_};
      slot = std::make_shared<StreamViews>(env_, *database_, stream, std::move(options));
      made = true;
    }
    consumer = slot;
    if (aside) builds_.insert_or_assign(defined.id, Entry{live, stream});
  }
  std::function<void()> joined;
  if (aside) joined = later([id = defined.id](Catalog& catalog) { catalog.built(id); });
  auto added = consumer->add(live, std::move(joined));
  if (std::holds_alternative<SqlError>(added)) {
    {
      const std::lock_guard lock(mutex_);
      builds_.erase(defined.id);
    }
    // Left here without its group, the next view of the stream would wait for that forever. At a start the others of
    // the stream are still to come.
    if (!starting) remove_if_empty(*stream, *consumer);
    return added;
  }
  if (!aside) {
    const std::lock_guard lock(mutex_);
    entries_.insert_or_assign(defined.event.name, Entry{live, stream});
    ++versions_[defined.event.name.tenant];
  }
  if (made && !starting) {
    const auto started = engine_.groups().add(stream->name() + ":views", stream, std::shared_ptr<Consumer>(consumer));
    if (!started) {
      {
        const std::lock_guard lock(mutex_);
        entries_.erase(defined.event.name);
        builds_.erase(defined.id);
        ++versions_[defined.event.name.tenant];
      }
      consumer->remove(*live);
      remove_if_empty(*stream, *consumer);
      return SqlError{"not_stored", "The view's group cannot start: " + started.error().message() + "."};
    }
  }
  return true;
}

std::optional<Catalog::Entry> Catalog::entry(const QualifiedName& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(name);
  if (found == entries_.end()) return std::nullopt;
  return found->second;
}

ViewInfo Catalog::info(const Entry& entry) const {
  const LiveView& live = *entry.live;
  ViewInfo info;
  info.tenant = live.view->qualified_name().tenant;
  info.name = live.view->name();
  info.stream = entry.stream->name();
  info.source = live.view->source();
  info.sql = live.view->definition().text;
  info.columns = live.view->definition().output();
  info.key_columns = live.view->definition().groups.size();
  for (const Lookup& l : live.view->definition().lookups) info.lookups.push_back(l.view);
  info.applied = live.applied();
  info.persisted = Position::through(Sequence(live.persisted));
  info.since = Sequence(live.since);
  info.rows = live.rows;
  info.parked = live.parked;
  info.audited = live.audited;
  info.audit_mismatches = live.audit_mismatches;
  info.audited_at = WallTime(std::chrono::milliseconds(live.audited_time_ms));
  if (live.decisions) {
    const Decisions::Counts counts = live.decisions->counts();
    info.decided = {counts.skipped, counts.redriven, counts.edited};
  }
  if (live.lineage != 0) info.lineage = Sequence(live.lineage);
  info.ready = live.ready();
  info.building = building(entry);
  if (const auto& expiry = live.view->definition().expiry) {
    const WallTime stream_time{std::chrono::milliseconds(live.stream_time_ms)};
    info.expiry = {in_words(*expiry, live.view->definition().groups), stream_time, live.expired, live.late};
  }
  return info;
}

std::vector<ViewInfo> Catalog::list(Whose whose) const {
  std::vector<Entry> entries;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, entry] : entries_)
      if (!whose || name.tenant == *whose) entries.push_back(entry);
  }
  std::vector<ViewInfo> out;
  for (const auto& entry : entries) out.push_back(info(entry));
  return out;
}

std::vector<FailedView> Catalog::failed(Whose whose) const {
  const std::lock_guard lock(mutex_);
  std::vector<FailedView> out;
  for (const auto& [name, cause] : failed_)
    if (!whose || name.tenant == *whose) out.push_back({name.tenant, name.name, cause});
  return out;
}

std::optional<ViewInfo> Catalog::find(const QualifiedName& name) const {
  const auto there = entry(name);
  if (!there) return std::nullopt;
  return info(*there);
}

std::vector<std::string> Catalog::reading(const QualifiedName& stream) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) {
    if (entry.stream->qualified_name() == stream) names.push_back(name.name);
  }
  return names;
}

AsOf Catalog::as_of(const Entry& entry, const Checkpoint& checkpoint) const {
  const Epoch epoch = entry.stream->log().status().epoch;
  return {checkpoint.position, checkpoint.time,
          engine_.token(*entry.stream, epoch, checkpoint.position.sequence()).encode()};
}

Result<std::optional<AsOf>> Catalog::as_of(const QualifiedName& view) {
  const auto there = entry(view);
  if (!there) return std::optional<AsOf>();
  const auto snapshot = database_->snapshot();
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, there->live->view->checkpoint(*snapshot));
  return std::optional<AsOf>(as_of(*there, checkpoint));
}

Result<std::optional<Views::GetResult>> Catalog::get(const QualifiedName& view, const Row& key) {
  const auto there = entry(view);
  if (!there) return std::optional<GetResult>();
  return get(*there, *database_->snapshot(), key);
}

// Lists and maps are read one element after the other, and may have thousands.
Result<std::optional<Views::GetResult>> Catalog::get_in_memory(const QualifiedName& view, const Row& key) {
  const auto there = entry(view);
  if (!there) return std::optional<GetResult>();
  if (there->live->view->layout().reads_members()) return ErrorCode(EAGAIN, boost::system::generic_category());
  return get(*there, *database_->snapshot(Database::Reads::memory), key);
}

Result<std::optional<Views::GetResult>> Catalog::get(const Entry& entry, const Snapshot& snapshot,
                                                     const Row& key) const {
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, entry.live->view->checkpoint(snapshot));
  ASSIGN_OR_RETURN(auto row, entry.live->view->get(snapshot, key));
  return std::optional<GetResult>(GetResult{std::move(row), as_of(entry, checkpoint)});
}

Result<std::optional<RangeResult>> Catalog::range(const QualifiedName& view, const RangeOptions& options) {
  const auto there = entry(view);
  if (!there) return std::optional<RangeResult>();
  const auto snapshot = database_->snapshot();
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, there->live->view->checkpoint(*snapshot));
  ASSIGN_OR_RETURN(auto result, there->live->view->range(*snapshot, options));
  result.as_of = as_of(*there, checkpoint);
  return std::optional<RangeResult>(std::move(result));
}

Result<std::optional<Views::WhyAnswer>> Catalog::why(const QualifiedName& view, const Row& key,
                                                     const WhyOptions& options) {
  const auto there = entry(view);
  if (!there) return std::optional<WhyAnswer>();
  const auto snapshot = database_->snapshot();
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, there->live->view->checkpoint(*snapshot));
  WhyAnswer answer{std::nullopt, as_of(*there, checkpoint)};
  ASSIGN_OR_RETURN(answer.why, views::why(*there->live->view, *snapshot, *there->stream, there->live->decisions.get(),
                                          key, options));
  return std::optional<WhyAnswer>(std::move(answer));
}

Result<std::optional<QuarantineResult>> Catalog::quarantine(const QualifiedName& view, Sequence from,
                                                            std::uint32_t limit) {
  const auto there = entry(view);
  if (!there) return std::optional<QuarantineResult>();
  const auto snapshot = database_->snapshot();
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, there->live->view->checkpoint(*snapshot));
  ASSIGN_OR_RETURN(auto result, there->live->view->quarantine(*snapshot, from, limit));
  result.count = checkpoint.parked;
  result.as_of = as_of(*there, checkpoint);
  return std::optional<QuarantineResult>(std::move(result));
}

SqlResult<std::unique_ptr<QueryCursor>> Catalog::query(std::string_view tenant, std::string_view sql, const Row& params,
                                                       const QueryLimits& limits) {
  return executor_.query(tenant, sql, params, limits);
}

Catalog::Tables Catalog::tables(std::string_view tenant) const {
  const std::lock_guard lock(mutex_);
  const auto version = versions_.find(tenant);
  Tables tables{std::string(tenant), version == versions_.end() ? 0 : version->second, {}};
  for (const auto& [name, entry] : entries_)
    if (name.tenant == tenant) tables.views.push_back(entry.live->view);
  return tables;
}

Result<AsOf> Catalog::as_of(const Snapshot& snapshot, std::string_view tenant,
                            const std::vector<std::string>& views) const {
  std::optional<AsOf> least;
  for (const auto& name : views) {
    const auto there = entry({std::string(tenant), name});
    if (!there) continue;  // dropped meanwhile
    ASSIGN_OR_RETURN(const Checkpoint checkpoint, there->live->view->checkpoint(snapshot));
    auto as_of_it = as_of(*there, checkpoint);
    if (!least || is_less_far(as_of_it, *least)) least = std::move(as_of_it);
  }
  return least.value_or(AsOf{});
}

std::shared_ptr<void> Catalog::when_applied(const QualifiedName& view, Position position, std::function<void()> then) {
  const auto there = entry(view);
  if (!there) return nullptr;
  return there->live->waiters->add(position, std::move(then));
}

bool Catalog::ready(Whose whose) const {
  const std::lock_guard lock(mutex_);
  return std::all_of(entries_.begin(), entries_.end(),
                     [&](const auto& e) { return (whose && e.first.tenant != *whose) || e.second.live->ready(); });
}

Result<std::vector<Views::Difference>> Catalog::rebuild_and_compare(const QualifiedName& view) {
  const auto there = entry(view);
  if (!there) return make_error_code(StorageErrc::invalid_argument);
  const auto from_base = [&](Database& database, const Family& family, Sequence first, Sequence durable) {
    return bases_->rebuild(there->live->view->family()->name(), database, family, first, durable);
  };
  return views::rebuild_and_compare(env_, *database_, *database_, *there->stream, *there->live->view,
                                    there->live->looked_up(), there->live->decisions, from_base);
}

StoreStatus Catalog::store() const {
  return store_status(*database_);
}

Result<void> Catalog::close() {
  {
    const std::unique_lock lock(link_->mutex);
    link_->catalog = nullptr;
  }
  const std::lock_guard changes(changes_);
  std::vector<std::shared_ptr<StreamViews>> consumers;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(closed_, true)) return {};
    for (const auto& [id, consumer] : consumers_) consumers.push_back(consumer);
  }
  bases_->stop();
  history_->stop();
  audit_.reset();
  Result<void> result;
  // The groups' runtime has closed them before, in an orderly stop; closing again flushes nothing.
  for (const auto& consumer : consumers) {
    if (const Result<void> closed = consumer->close(); !closed) result = closed;
  }
  if (const Result<void> closed = database_->close(); !closed) result = closed;
  return result;
}

}  // namespace tidemill::views
