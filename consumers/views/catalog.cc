#include "consumers/views/catalog.h"

#include <algorithm>

#include "consumers/views/compare.h"
#include "consumers/views/sqlite.h"
#include "consumers/views/store_status.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"

namespace tidemill::views {
namespace {

constexpr std::uint32_t kShownSlot = 0;
constexpr std::size_t kNameMax = 63;
const std::string kCreated = "view.created";
const std::string kDropped = "view.dropped";

bool valid_view_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && name.size() <= kNameMax && letter(name[0]) && name[0] != '_' &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); }) &&
         !name.starts_with("sqlite_");
}

ErrorCode exists_already() {
  return {EEXIST, boost::system::generic_category()};
}

}  // namespace

Result<std::unique_ptr<Views>> Views::open(Env& env, Engine& engine, const Options& options) {
  configure_sqlite();
  // A third for rows that were written lately, the rest is RocksDB's.
  ASSIGN_OR_RETURN(auto database, Database::open_or_begin_anew(env, options.directory, options.memory_bytes / 3 * 2));
  auto catalog = std::make_unique<Catalog>(env, engine, options, std::move(database));
  RETURN_IF_ERROR(catalog->start());
  return std::unique_ptr<Views>(std::move(catalog));
}

Catalog::Catalog(Env& env, Engine& engine, const Options& options, std::unique_ptr<Database> database)
    : env_(env),
      engine_(engine),
      options_(options),
      database_(std::move(database)),
      bases_(std::make_shared<Bases>(
          env, options.directory + kBasesSuffix, *database_, [this] { return families(); },
          [this] { engine_.check_retention(); })) {}

Catalog::~Catalog() {
  (void)close();
}

Result<void> Catalog::start() {
  RETURN_IF_ERROR(fold_definitions());
  RETURN_IF_ERROR(bases_->open());
  std::map<std::string, Defined, std::less<>> defined;
  {
    const std::lock_guard lock(mutex_);
    defined = defined_;
  }
  // Families that no definition names: of a view dropped just before a crash, or of a comparison cut short.
  for (const std::string& name : database_->names()) {
    const bool known =
        std::any_of(defined.begin(), defined.end(), [&](const auto& d) { return family_name(d.second.id) == name; });
    if (!known) RETURN_IF_ERROR(database_->drop(name));
  }
  for (const auto& [name, d] : defined) {
    const auto stream = engine_.find(d.event.stream);
    auto split_up = split(d.event.sql, {stream ? stream->definition().fields : decltype(SplitOptions::fields){}});
    SqlResult<bool> attached = SqlError{"no_such_stream", "The view's stream is gone."};
    if (auto* error = std::get_if<SqlError>(&split_up)) {
      attached = *error;
    } else if (stream) {
      attached = attach(d, std::get<Definition>(split_up), true);
    }
    if (auto* error = std::get_if<SqlError>(&attached)) {
      // The others go on: one view must not keep the server down.
      env_.logger.error("a view cannot be opened", {{"view", name}, {"cause", error->message}});
      const std::lock_guard lock(mutex_);
      failed_.insert_or_assign(name, error->message);
    }
  }
  std::vector<std::pair<std::shared_ptr<Stream>, std::shared_ptr<StreamViews>>> groups;
  for (const auto& [id, consumer] : consumers_) groups.emplace_back(engine_.find(id), consumer);
  for (auto& [stream, consumer] : groups) {
    RETURN_IF_ERROR(engine_.groups().add(stream->name() + ":views", stream, std::shared_ptr<Consumer>(consumer)));
  }
  return {};
}

Result<void> Catalog::fold_definitions() {
  return engine_.system().fold("view.", [this](const SystemStream::Event& event) {
    const std::lock_guard lock(mutex_);
    if (event.type == kCreated) {
      if (auto created = decode_created(event.json)) {
        const std::string name = created->name;
        defined_.insert_or_assign(name, Defined{event.sequence.value(), std::move(*created)});
      }
    } else if (event.type == kDropped) {
      if (const auto name = decode_dropped(event.json)) defined_.erase(*name);
    }
  });
}

SqlResult<ViewInfo> Catalog::create(std::string_view name, std::string_view sql) {
  const std::lock_guard changes(changes_);
  constexpr std::string_view builtin = "builtin:";
  std::string text(sql);
  if (sql.starts_with(builtin)) {
    const auto found = builtin_sql(sql.substr(builtin.size()));
    if (!found) {
      std::string names;
      for (const auto known : builtin_names()) names.append(names.empty() ? "" : ", ").append(known);
      return SqlError{"invalid_view", "There is no built-in view of that name. There are: " + names + "."};
    }
    text = *found;
  }
  // Twice where the stream is only known afterwards: its declared fields make better types.
  auto first = split(text);
  if (auto* error = std::get_if<SqlError>(&first)) return *error;
  const std::string stream_name = std::get<Definition>(first).stream;
  const auto stream = engine_.find(stream_name);
  if (!stream) {
    return SqlError{"no_such_stream",
                    "There is no stream " + stream_name + ". Create it first: PUT /v1/streams/" + stream_name + "."};
  }
  auto second = split(text, {stream->definition().fields});
  if (auto* error = std::get_if<SqlError>(&second)) return *error;
  const Definition& definition = std::get<Definition>(second);
  const std::string chosen = name.empty() ? definition.name : std::string(name);
  if (!definition.name.empty() && definition.name != chosen) {
    return SqlError{"invalid_view", "The definition creates the view " + definition.name +
                                        ", but it was given as the definition of " + chosen + ". Use one name."};
  }
  if (!valid_view_name(chosen)) {
    return SqlError{"invalid_name",
                    "A view's name has 1 to 63 letters, digits and underscores and begins with a letter."};
  }
  if (definition.if_not_exists) {
    if (const auto there = entry(chosen)) return info(*there);
  }
  const auto appended = engine_.system().append(
      kCreated, encode_created({chosen, stream->definition().id, std::string(sql), text}), [&]() -> Result<void> {
        const std::lock_guard lock(mutex_);
        if (closed_) return make_error_code(StorageErrc::closed);
        if (defined_.contains(chosen)) return exists_already();
        return {};
      });
  if (!appended) {
    if (appended.error() == exists_already()) {
      return SqlError{"view_exists", "There is a view " + chosen + " already. Drop it first, or use another name."};
    }
    return SqlError{"not_stored", "The definition could not be stored: " + appended.error().message() + "."};
  }
  Defined defined;
  {
    const std::lock_guard lock(mutex_);
    defined = defined_.find(chosen)->second;
  }
  auto attached = attach(defined, definition, false);
  if (auto* error = std::get_if<SqlError>(&attached)) return *error;
  return info(*entry(chosen));
}

SqlResult<bool> Catalog::attach(const Defined& defined, const Definition& definition, bool starting) {
  const auto stream = engine_.find(defined.event.stream);
  if (!stream) return SqlError{"no_such_stream", "The view's stream is gone."};
  auto family = family_of(defined, *stream, starting);
  if (!family) return SqlError{"view_damaged", "The view's store cannot be opened: " + family.error().message() + "."};
  auto view = std::make_shared<const View>(defined.id, defined.event.name, defined.event.source, definition, *family);
  Position shown;
  if (starting) shown = Position::through(stream->log().noted(kShownSlot).value_or(stream->log().durable()));
  auto live = std::make_shared<LiveView>(std::move(view), shown);

  std::shared_ptr<StreamViews> consumer;
  bool made = false;
  {
    const std::lock_guard lock(mutex_);
    auto& slot = consumers_[stream->definition().id];
    if (!slot) {
      slot = std::make_shared<StreamViews>(env_, *database_, stream, options_.memory_bytes / 12);
      made = true;
    }
    consumer = slot;
  }
  auto added = consumer->add(live);
  if (std::holds_alternative<SqlError>(added)) return added;
  {
    const std::lock_guard lock(mutex_);
    entries_.insert_or_assign(defined.event.name, Entry{live, stream});
    ++version_;
  }
  if (made && !starting) {
    const auto started = engine_.groups().add(stream->name() + ":views", stream, std::shared_ptr<Consumer>(consumer));
    if (!started) return SqlError{"not_stored", "The view's group cannot start: " + started.error().message() + "."};
  }
  return true;
}

Result<bool> Catalog::drop(std::string_view name) {
  const std::lock_guard changes(changes_);
  const auto there = entry(name);
  if (!there) return drop_failed(name);
  RETURN_IF_ERROR(engine_.system().append(kDropped, encode_dropped(name)));
  std::shared_ptr<StreamViews> consumer;
  {
    const std::lock_guard lock(mutex_);
    entries_.erase(entries_.find(name));
    ++version_;
    consumer = consumers_[there->stream->definition().id];
  }
  consumer->remove(std::string(name));
  RETURN_IF_ERROR(database_->drop(family_name(there->live->view->id())));
  if (consumer->empty()) {
    {
      const std::lock_guard lock(mutex_);
      consumers_.erase(there->stream->definition().id);
    }
    RETURN_IF_ERROR(engine_.groups().remove(there->stream->name() + ":views"));
  }
  bases_->drop_unwanted();
  return true;
}

Result<bool> Catalog::drop_failed(std::string_view name) {
  std::uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    if (!failed_.contains(name)) return false;
    id = defined_.find(name)->second.id;
  }
  RETURN_IF_ERROR(engine_.system().append(kDropped, encode_dropped(name)));
  {
    const std::lock_guard lock(mutex_);
    failed_.erase(failed_.find(name));
  }
  RETURN_IF_ERROR(database_->drop(family_name(id)));
  bases_->drop_unwanted();
  return true;
}

std::optional<Catalog::Entry> Catalog::entry(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(name);
  if (found == entries_.end()) return std::nullopt;
  return found->second;
}

ViewInfo Catalog::info(const Entry& entry) const {
  const LiveView& live = *entry.live;
  ViewInfo info;
  info.name = live.view->name();
  info.stream = entry.stream->name();
  info.source = live.view->source();
  info.sql = live.view->definition().text;
  info.columns = live.view->definition().output();
  info.key_columns = live.view->definition().groups.size();
  info.applied = live.applied();
  info.persisted = Position::through(Sequence(live.persisted));
  info.since = Sequence(live.since);
  info.rows = live.rows;
  info.parked = live.parked;
  info.ready = live.ready();
  return info;
}

std::vector<ViewInfo> Catalog::list() const {
  std::vector<Entry> entries;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, entry] : entries_) entries.push_back(entry);
  }
  std::vector<ViewInfo> out;
  for (const auto& entry : entries) out.push_back(info(entry));
  return out;
}

std::vector<FailedView> Catalog::failed() const {
  const std::lock_guard lock(mutex_);
  std::vector<FailedView> out;
  for (const auto& [name, cause] : failed_) out.push_back({name, cause});
  return out;
}

std::optional<ViewInfo> Catalog::find(std::string_view name) const {
  const auto there = entry(name);
  if (!there) return std::nullopt;
  return info(*there);
}

std::vector<std::string> Catalog::reading(std::string_view stream) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) {
    if (entry.stream->name() == stream) names.push_back(name);
  }
  return names;
}

AsOf Catalog::as_of(const Entry& entry, const Checkpoint& checkpoint) const {
  const Epoch epoch = entry.stream->log().status().epoch;
  return {checkpoint.position, checkpoint.time,
          engine_.token(*entry.stream, epoch, checkpoint.position.sequence()).encode()};
}

Result<std::optional<AsOf>> Catalog::as_of(std::string_view view) {
  const auto there = entry(view);
  if (!there) return std::optional<AsOf>();
  const auto snapshot = database_->snapshot();
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, there->live->view->checkpoint(*snapshot));
  return std::optional<AsOf>(as_of(*there, checkpoint));
}

Result<std::optional<Views::GetResult>> Catalog::get(std::string_view view, const Row& key) {
  const auto there = entry(view);
  if (!there) return std::optional<GetResult>();
  const auto snapshot = database_->snapshot();
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, there->live->view->checkpoint(*snapshot));
  ASSIGN_OR_RETURN(auto row, there->live->view->get(*snapshot, key));
  return std::optional<GetResult>(GetResult{std::move(row), as_of(*there, checkpoint)});
}

Result<std::optional<RangeResult>> Catalog::range(std::string_view view, const RangeOptions& options) {
  const auto there = entry(view);
  if (!there) return std::optional<RangeResult>();
  const auto snapshot = database_->snapshot();
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, there->live->view->checkpoint(*snapshot));
  ASSIGN_OR_RETURN(auto result, there->live->view->range(*snapshot, options));
  result.as_of = as_of(*there, checkpoint);
  return std::optional<RangeResult>(std::move(result));
}

SqlResult<QueryEnd> Catalog::query(std::string_view sql, const Row& params, const QueryLimits& limits,
                                   QuerySink& sink) {
  return executor_.query(sql, params, limits, sink);
}

Catalog::Tables Catalog::tables() const {
  const std::lock_guard lock(mutex_);
  Tables tables{version_, {}};
  for (const auto& [name, entry] : entries_) tables.views.push_back(entry.live->view);
  return tables;
}

Result<AsOf> Catalog::as_of(const Snapshot& snapshot, const std::vector<std::string>& views) const {
  std::optional<AsOf> least;
  for (const auto& name : views) {
    const auto there = entry(name);
    if (!there) continue;  // dropped meanwhile
    ASSIGN_OR_RETURN(const Checkpoint checkpoint, there->live->view->checkpoint(snapshot));
    if (!least || checkpoint.time < least->time ||
        (checkpoint.time == least->time && checkpoint.position < least->position)) {
      least = as_of(*there, checkpoint);
    }
  }
  return least.value_or(AsOf{});
}

std::shared_ptr<void> Catalog::when_applied(std::string_view view, Position position, std::function<void()> then) {
  const auto there = entry(view);
  if (!there) return nullptr;
  return there->live->waiters->add(position, std::move(then));
}

bool Catalog::ready() const {
  const std::lock_guard lock(mutex_);
  return std::all_of(entries_.begin(), entries_.end(), [](const auto& e) { return e.second.live->ready(); });
}

Result<std::vector<Views::Difference>> Catalog::rebuild_and_compare(std::string_view view) {
  const auto there = entry(view);
  if (!there) return make_error_code(StorageErrc::invalid_argument);
  const auto from_base = [&](Database& database, const Family& family, Sequence first, Sequence durable) {
    return bases_->rebuild(there->live->view->family()->name(), database, family, first, durable);
  };
  return views::rebuild_and_compare(env_, *database_, *database_, *there->stream, *there->live->view, from_base);
}

StoreStatus Catalog::store() const {
  return store_status(*database_);
}

Result<void> Catalog::close() {
  const std::lock_guard changes(changes_);
  std::vector<std::shared_ptr<StreamViews>> consumers;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(closed_, true)) return {};
    for (const auto& [id, consumer] : consumers_) consumers.push_back(consumer);
  }
  bases_->stop();
  Result<void> result;
  // The groups' runtime has closed them before, in an orderly stop; closing again flushes nothing.
  for (const auto& consumer : consumers) {
    if (const Result<void> closed = consumer->close(); !closed) result = closed;
  }
  if (const Result<void> closed = database_->close(); !closed) result = closed;
  return result;
}

}  // namespace tidemill::views
