// What views there are: made, changed and dropped by one path, whichever door the statement came through.
#include <algorithm>

#include "consumers/views/catalog.h"
#include "consumers/views/explain.h"
#include "consumers/views/lookup.h"
#include "consumers/views/trial.h"
#include "engine/start_of.h"
#include "storage/base/errors.h"

namespace tidemill::views {
namespace {

constexpr std::size_t kNameMax = 63;
using Did = ViewChange::Did;
using Head = StatementHead::Kind;

bool valid_view_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && name.size() <= kNameMax && letter(name[0]) && name[0] != '_' &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); }) &&
         !name.starts_with("sqlite_");
}

SqlError not_stored(const ErrorCode& error) {
  return {"not_stored", "The definition could not be stored: " + error.message() + "."};
}

SqlError no_such_view(std::string_view name) {
  return {"no_such_view", "The statement names " + std::string(name) + "."};
}

SqlResult<StatementHead> head_of(std::string_view sql) {
  auto tokens = tokenize(sql);
  if (auto* error = std::get_if<SqlError>(&tokens)) return *error;
  auto& list = std::get<0>(tokens);
  while (!list.empty() && list.back().is(';')) list.pop_back();
  return read_head(sql, list);
}

}  // namespace

SqlResult<Catalog::Wanted> Catalog::understand(const QualifiedName& name, std::string_view sql) const {
  constexpr std::string_view builtin = "builtin:";
  Wanted out;
  out.source = sql;
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
  const auto named = [&](std::string_view view) { return view_named({name.tenant, std::string(view)}); };
  auto first = split(text, {{}, named});
  if (auto* error = std::get_if<SqlError>(&first)) return *error;
  const std::string stream_name = std::get<Definition>(first).stream;
  out.stream = engine_.find({name.tenant, stream_name});
  if (!out.stream) {
    return SqlError{"no_such_stream",
                    "There is no stream " + stream_name + ". Create it first: PUT /v1/streams/" + stream_name + "."};
  }
  auto second = split(text, {out.stream->definition().fields, named});
  if (auto* error = std::get_if<SqlError>(&second)) return *error;
  out.definition = std::get<Definition>(std::move(second));
  auto head = head_of(text);
  if (auto* error = std::get_if<SqlError>(&head)) return *error;
  out.head = std::get<StatementHead>(std::move(head));
  if (!out.head.from.empty() && !is_from(out.head.from)) {
    return SqlError{"invalid_view", "WITH (from = ...) takes " + std::string(kFromSentence) + ", in quotes."};
  }
  out.name = {name.tenant, name.name.empty() ? out.definition.name : name.name};
  if (!out.definition.name.empty() && out.definition.name != out.name.name) {
    return SqlError{"invalid_view", "The definition creates the view " + out.definition.name +
                                        ", but it was given as the definition of " + out.name.name + ". Use one name."};
  }
  if (!out.name.name.empty() && !valid_view_name(out.name.name)) {
    return SqlError{"invalid_name",
                    "A view's name has 1 to 63 letters, digits and underscores and begins with a letter."};
  }
  if (auto refused = refuse_lookups(out)) return *refused;
  out.definition.text = as_create(text, out.head);
  if (!sql.starts_with(builtin)) out.source = out.definition.text;
  return out;
}

// Where it begins to count. 1: at the beginning, whatever that is by then.
SqlResult<Sequence> Catalog::first_of(const Wanted& wanted) const {
  if (wanted.head.from.empty() || wanted.head.from == "earliest") return Sequence(1);
  Log& log = wanted.stream->log();
  const auto first = start_of(log, wanted.head.from);
  if (!first) return not_stored(first.error());
  if (*first > next(log.durable())) {
    return SqlError{"invalid_view", "WITH (from = ...) lies beyond the end of the stream: the next record is " +
                                        std::to_string(log.durable().value() + 1) + "."};
  }
  return *first;
}

// A trial that cannot be made (the disk) holds nothing up.
void Catalog::look(const Wanted& wanted, ViewChange& change) const {
  change.warnings = wanted.definition.warnings;
  const auto lookups = lookups_of(wanted.name.tenant, wanted.definition);
  if (std::holds_alternative<SqlError>(lookups)) return;
  LookedUp views;
  for (const auto& l : std::get<0>(lookups)) views.push_back(l->view);
  for (const auto& l : std::get<0>(lookups)) {
    if (l->caught_up()) continue;
    change.warnings.push_back("The view " + l->view->name() +
                              " is still being built, and this one begins when that has caught up.");
  }
  const auto seen = views.empty() ? nullptr : database_->snapshot();
  auto trial = try_out(wanted.definition, *wanted.stream, trial_time(), views, seen.get());
  if (!trial) {
    if (trial.error() == boost::system::errc::timed_out) change.warnings.push_back(kTrialTooSlow);
    return;
  }
  for (std::string& warning : warnings_of(*trial)) change.warnings.push_back(std::move(warning));
  change.trial = std::move(*trial);
}

SqlResult<ViewChange> Catalog::define(const QualifiedName& name, std::string_view sql, Existing existing) {
  auto understood = understand(name, sql);
  if (auto* error = std::get_if<SqlError>(&understood)) return *error;
  const Wanted& wanted = std::get<Wanted>(understood);
  if (wanted.head.if_not_exists) existing = Existing::keep;
  if (wanted.head.or_replace) existing = Existing::replace;
  if (wanted.head.kind == Head::alter) existing = Existing::require;

  ViewChange change;
  change.name = wanted.name.name;
  change.statement = existing == Existing::require ? "ALTER MATERIALIZED VIEW" : "CREATE MATERIALIZED VIEW";
  bool defined = false;
  {
    const std::lock_guard lock(mutex_);
    defined = defined_.find(wanted.name) != nullptr;
  }
  const auto there = entry(wanted.name);
  if (!defined && existing == Existing::require) {
    if (!wanted.head.if_exists) return no_such_view(wanted.name.name);
    change.did = Did::absent;
    return change;
  }
  if (defined && (existing == Existing::refuse || (existing == Existing::keep && !there))) {
    return SqlError{"view_exists", "There is a view " + wanted.name.name +
                                       " already. ALTER VIEW changes it while it is served; or use another name."};
  }
  if (defined && existing == Existing::keep) {
    change.did = Did::exists;
    change.view = info(*there);
    return change;
  }
  if (there) return alter(wanted, std::move(change));
  return make(wanted, std::move(change), defined);
}

// `mends`: there is one that could not be opened.
SqlResult<ViewChange> Catalog::make(const Wanted& wanted, ViewChange change, bool mends) {
  auto from = first_of(wanted);
  if (auto* error = std::get_if<SqlError>(&from)) return *error;
  look(wanted, change);
  std::optional<std::uint64_t> broken;
  const auto appended =
      engine_.system().append(kViewCreated,
                              encode_created({wanted.name, wanted.stream->definition().id, wanted.source,
                                              wanted.definition.text, std::get<Sequence>(from)}),
                              [&]() -> Result<void> {
                                const std::lock_guard lock(mutex_);
                                if (closed_) return make_error_code(StorageErrc::closed);
                                if (const auto* view = defined_.find(wanted.name)) broken = view->serving.id;
                                return {};
                              });
  if (!appended) return not_stored(appended.error());
  Defined defined;
  {
    const std::lock_guard lock(mutex_);
    defined = defined_.find(wanted.name)->serving;
    failed_.erase(wanted.name);
  }
  if (mends) give_up_builds(wanted.name);
  if (broken) remove_rows(wanted.name, *broken);
  auto attached = attach(defined, wanted.definition, Attach::anew);
  if (auto* error = std::get_if<SqlError>(&attached)) {  // as after a start: it is defined, and not open
    const std::lock_guard lock(mutex_);
    failed_.insert_or_assign(wanted.name, error->message);
    return *error;
  }
  change.did = Did::created;
  change.view = info(*entry(wanted.name));
  return change;
}

SqlResult<ViewChange> Catalog::alter(const Wanted& wanted, ViewChange change) {
  const auto there = entry(wanted.name);
  ViewDefinitions::View view;
  bool under_way = false;
  {
    const std::lock_guard lock(mutex_);
    view = *defined_.find(wanted.name);
    under_way = view.building && builds_.contains(view.building->id);
  }
  const auto is_same = [&](const Defined& d) {
    const auto head = head_of(d.event.sql);
    const auto* read = std::get_if<StatementHead>(&head);
    return same_select(d.event.sql, wanted.definition.text) && read != nullptr && read->from == wanted.head.from &&
           read->expiry == wanted.head.expiry && read->lineage == wanted.head.lineage;
  };
  if (is_same(view.serving)) {
    change.did = Did::unchanged;
    if (view.building) {
      const auto kept = engine_.system().append(kViewKept, encode_dropped(wanted.name));
      if (!kept) return not_stored(kept.error());
      give_up_builds(wanted.name);
      change.warnings.push_back("The other definition, which was being built, is given up.");
    }
    change.view = info(*entry(wanted.name));
    return change;
  }
  change.did = Did::building;
  if (under_way && is_same(*view.building)) {
    change.view = info(*there);
    return change;
  }
  if (wanted.stream->definition().id != there->stream->definition().id) {
    return SqlError{"not_supported", "The view " + wanted.name.name + " reads the stream " + there->stream->name() +
                                         ", and a changed definition reads the same. Drop the view, then create it "
                                         "over " +
                                         wanted.stream->name() + "; or use another name."};
  }
  if (auto used = refuse_in_use(wanted.name, "changed")) return *used;
  auto from = first_of(wanted);
  if (auto* error = std::get_if<SqlError>(&from)) return *error;
  look(wanted, change);
  const auto appended =
      engine_.system().append(kViewAltering,
                              encode_created({wanted.name, wanted.stream->definition().id, wanted.source,
                                              wanted.definition.text, std::get<Sequence>(from)}),
                              [&]() -> Result<void> {
                                const std::lock_guard lock(mutex_);
                                if (closed_) return make_error_code(StorageErrc::closed);
                                return {};
                              });
  if (!appended) return not_stored(appended.error());
  give_up_builds(wanted.name);
  Defined defined;
  {
    const std::lock_guard lock(mutex_);
    defined = *defined_.find(wanted.name)->building;
  }
  auto attached = attach(defined, wanted.definition, Attach::aside);
  if (auto* error = std::get_if<SqlError>(&attached)) return *error;
  change.view = info(*entry(wanted.name));
  return change;
}

// The event drops it. What follows is tidying, and what fails of that the next start does: it cannot make the view be
// there again, so it is no error of the statement.
Result<bool> Catalog::drop_held(const QualifiedName& name) {
  const auto there = entry(name);
  std::uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto* view = defined_.find(name);
    if (view == nullptr) return false;
    id = view->serving.id;
  }
  RETURN_IF_ERROR(engine_.system().append(kViewDropped, encode_dropped(name)));
  std::shared_ptr<StreamViews> consumer;
  {
    const std::lock_guard lock(mutex_);
    if (const auto failed = failed_.find(name); failed != failed_.end()) failed_.erase(failed);
    if (there) {
      entries_.erase(entries_.find(name));
      ++versions_[name.tenant];
      consumer = consumers_.find(there->stream->definition().id)->second;
    }
  }
  give_up_builds(name);
  if (there) {
    consumer->remove(*there->live);
    id = there->live->view->id();  // not the one that is about to be shown
  }
  remove_rows(name, id);
  if (consumer) remove_if_empty(*there->stream, *consumer);
  bases_->drop_unwanted();
  return true;
}

SqlResult<ViewChange> Catalog::drop_statement(const std::string& tenant, const StatementHead& head) {
  const QualifiedName name{tenant, head.name};
  ViewChange change;
  change.name = head.name;
  change.statement = "DROP MATERIALIZED VIEW";
  if (auto used = refuse_in_use(name, "dropped")) return *used;
  const auto dropped = drop_held(name);
  if (!dropped) return not_stored(dropped.error());
  if (!*dropped && !head.if_exists) return no_such_view(head.name);
  change.did = *dropped ? Did::dropped : Did::absent;
  return change;
}

// ---- the doors

SqlResult<ViewInfo> Catalog::create(const QualifiedName& name, std::string_view sql) {
  const std::lock_guard changes(changes_);
  auto made = define(name, sql, Existing::refuse);
  if (auto* error = std::get_if<SqlError>(&made)) return *error;
  return *std::get<ViewChange>(made).view;
}

SqlResult<ViewChange> Catalog::define(const QualifiedName& name, std::string_view sql) {
  const std::lock_guard changes(changes_);
  return define(name, sql, Existing::replace);
}

SqlResult<bool> Catalog::drop(const QualifiedName& name) {
  const std::lock_guard changes(changes_);
  if (auto used = refuse_in_use(name, "dropped")) return *used;
  const auto dropped = drop_held(name);
  if (!dropped) return not_stored(dropped.error());
  return *dropped;
}

bool Views::is_change(std::string_view sql) {
  return look_at(sql).kind == StatementKind::change;
}

std::optional<SqlResult<StatementResult>> Catalog::run(const std::string& tenant, std::string_view sql) {
  const StatementText text = look_at(sql);
  if (text.kind == StatementKind::question) return std::nullopt;
  if (text.kind == StatementKind::explain_select &&
      (entry({tenant, text.stream}) || !engine_.find({tenant, text.stream})))
    return std::nullopt;
  if (text.kind != StatementKind::change) {
    auto explained = explain(tenant, text.sql);
    if (auto* error = std::get_if<SqlError>(&explained)) return SqlResult<StatementResult>(*error);
    return SqlResult<StatementResult>(StatementResult(std::get<Explanation>(std::move(explained))));
  }
  const std::lock_guard changes(changes_);
  auto head = head_of(text.sql);
  if (auto* error = std::get_if<SqlError>(&head)) return SqlResult<StatementResult>(*error);
  const auto& read = std::get<StatementHead>(head);
  auto changed =
      read.kind == Head::drop ? drop_statement(tenant, read) : define({tenant, read.name}, text.sql, Existing::refuse);
  if (auto* error = std::get_if<SqlError>(&changed)) return SqlResult<StatementResult>(*error);
  return SqlResult<StatementResult>(StatementResult(std::get<ViewChange>(std::move(changed))));
}

SqlResult<Explanation> Catalog::explain(const std::string& tenant, std::string_view sql) const {
  auto understood = understand({tenant, {}}, sql);
  if (auto* error = std::get_if<SqlError>(&understood)) return *error;
  const Wanted& wanted = std::get<Wanted>(understood);
  auto from = first_of(wanted);
  if (auto* error = std::get_if<SqlError>(&from)) return *error;
  Explanation out = views::explain(wanted.definition);
  out.exists = entry(wanted.name).has_value();
  ViewChange seen;
  look(wanted, seen);
  out.warnings = std::move(seen.warnings);
  if (seen.trial) out.trial = std::move(*seen.trial);
  return out;
}

}  // namespace tidemill::views
