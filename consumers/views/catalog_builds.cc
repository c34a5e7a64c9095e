// Definitions that take the place of others: built aside, shown when they have caught up.
#include "consumers/views/catalog.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/seam/executor.h"

namespace tidemill::views {
namespace {

constexpr std::chrono::milliseconds kAgain{10};
constexpr std::chrono::seconds kAfterError{1};

ErrorCode overtaken() {
  return {ECANCELED, boost::system::generic_category()};
}

}  // namespace

// For tasks: they run when and where they like, and not any more once the catalog closes.
std::function<void()> Catalog::later(std::function<void(Catalog&)> work) {
  return [link = link_, work = std::move(work)] {
    const std::shared_lock lock(link->mutex);
    if (link->catalog != nullptr) work(*link->catalog);
  };
}

// It goes with the others: from now on it may be shown. The event decides.
void Catalog::built(std::uint64_t id) {
  ViewCreated event;
  {
    const std::lock_guard lock(mutex_);
    const auto build = builds_.find(id);
    if (build == builds_.end()) return;
    const auto* view = defined_.find(build->second.live->view->qualified_name());
    if (view == nullptr || !view->building || view->building->id != id) return;
    event = view->building->event;
  }
  event.built = id;
  const auto check = [link = link_, name = event.name, id]() -> Result<void> {
    const std::shared_lock alive(link->mutex);
    if (link->catalog == nullptr) return make_error_code(StorageErrc::closed);
    const std::lock_guard lock(link->catalog->mutex_);
    const auto* view = link->catalog->defined_.find(name);
    if (view == nullptr || !view->building || view->building->id != id) return overtaken();
    return {};
  };
  const auto shown = later([id](Catalog& catalog) { catalog.show_built(id); });
  const auto again = later([id](Catalog& catalog) { catalog.built(id); });
  engine_.system().append_async(kViewCreated, encode_created(event), check,
                                [&env = env_, shown, again, name = event.name](const Result<Sequence>& appended) {
                                  if (appended) return env.background.post(shown);
                                  if (appended.error() == overtaken() || appended.error() == StorageErrc::closed)
                                    return;
                                  env.logger.error(
                                      "a view's new definition is built and cannot be stored; it is tried again",
                                      {{"view", text_of(name)}, {"cause", appended.error().message()}});
                                  env.background.post_after(kAfterError, again);
                                });
}

void Catalog::show_built(std::uint64_t id) {
  const std::unique_lock changes(changes_, std::try_to_lock);
  if (!changes) {
    env_.background.post_after(kAgain, later([id](Catalog& catalog) { catalog.show_built(id); }));
    return;
  }
  Entry fresh;
  std::optional<Entry> old;
  std::shared_ptr<StreamViews> consumer;
  {
    const std::lock_guard lock(mutex_);
    const auto build = builds_.find(id);
    if (build == builds_.end() || closed_) return;
    fresh = build->second;
    const QualifiedName& name = fresh.live->view->qualified_name();
    const auto* view = defined_.find(name);
    if (view == nullptr || view->serving.id != id) return;  // dropped meanwhile
    if (const auto there = entries_.find(name); there != entries_.end()) old = there->second;
    consumer = consumers_.find(fresh.stream->definition().id)->second;
  }
  const QualifiedName& name = fresh.live->view->qualified_name();
  const auto show = [&] {
    const std::lock_guard lock(mutex_);
    entries_.insert_or_assign(name, fresh);
    builds_.erase(id);
    failed_.erase(name);
    ++versions_[name.tenant];
  };
  if (!old) {  // the one of before could not be opened
    show();
  } else if (!consumer->replace(*old->live, *fresh.live, show)) {
    return;  // it is being closed: the next start shows it
  }
  env_.logger.info("a view has its new definition",
                   {{"view", text_of(name)}, {"sequence", std::to_string(fresh.live->applied().sequence().value())}});
  if (old) remove_rows(name, old->live->view->id());
}

// Of a definition that is not one any more: the event that said so is durable, so whatever happens here is no failure
// of that statement.
void Catalog::remove_rows(const QualifiedName& name, std::uint64_t id) {
  if (const auto dropped = database_->drop(family_name(id)); !dropped)
    env_.logger.error("the rows of a view that is no more could not be removed; the next start does it",
                      {{"view", text_of(name)}, {"cause", dropped.error().message()}});
}

// What is being built of a view is forgotten. Its definition is not any more, when this is called. There may be two:
// one that is about to be shown, and the one that was to take its place.
void Catalog::give_up_builds(const QualifiedName& name) {
  std::vector<std::pair<Entry, std::shared_ptr<StreamViews>>> given_up;
  {
    const std::lock_guard lock(mutex_);
    const auto* view = defined_.find(name);
    std::erase_if(builds_, [&](const auto& build) {
      const auto& [id, entry] = build;
      if (entry.live->view->qualified_name() != name) return false;
      if (view != nullptr && view->serving.id == id) return false;  // about to be shown
      if (view != nullptr && view->building && view->building->id == id) return false;
      given_up.emplace_back(entry, consumers_.find(entry.stream->definition().id)->second);
      return true;
    });
  }
  for (const auto& [build, consumer] : given_up) {
    consumer->remove(*build.live);
    remove_rows(name, build.live->view->id());
  }
}

// The last view of a stream takes its group along. Where there is none (it could not start, the server is stopping), or
// it does not close cleanly, which it logs, nothing is lost: it keeps no view.
void Catalog::remove_if_empty(const Stream& stream, const StreamViews& consumer) {
  if (!consumer.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    consumers_.erase(stream.definition().id);
  }
  (void)engine_.groups().remove({stream.tenant(), stream.name() + ":views"}).has_value();
}

std::optional<Building> Catalog::building(const Entry& entry) const {
  const Sequence durable = entry.stream->log().durable();
  std::shared_ptr<LiveView> live;
  {
    const std::lock_guard lock(mutex_);
    const auto* view = defined_.find(entry.live->view->qualified_name());
    if (view != nullptr) {
      const auto build = builds_.find(view->building ? view->building->id : view->serving.id);
      if (build != builds_.end()) live = build->second.live;
    }
  }
  Building out;
  if (live) {
    out.source = live->view->source();
    out.columns = live->view->definition().output();
  } else if (entry.live->applied() < entry.live->build_until) {
    live = entry.live;
  } else {
    return std::nullopt;
  }
  out.from = Sequence(live->since);
  out.at = live->applied().sequence();
  out.of = durable;
  out.rows = live->rows;
  out.parked = live->parked;
  return out;
}

}  // namespace tidemill::views
