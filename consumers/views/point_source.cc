#include "consumers/views/point_source.h"

#include <algorithm>

#include "storage/base/errors.h"

namespace tidemill::views {

PointSource::PointSource(std::unique_ptr<Database> database, PointContent content, Live live, Say say)
    : database_(std::move(database)), content_(std::move(content)), live_(std::move(live)), say_(std::move(say)) {}

Result<std::shared_ptr<PointSource>> PointSource::open(Env& env, const Database& beside, const std::string& directory,
                                                       PointContent content, Live live, Say say) {
  ASSIGN_OR_RETURN(auto database, Database::open_beside(beside, env, directory));
  // A family that is asked for and not there would be made, which cannot be done here.
  const std::vector<std::string> names = database->names();
  for (const PointView& v : content.views) {
    if (std::find(names.begin(), names.end(), family_name(v.id)) == names.end())
      return make_error_code(StorageErrc::damaged);
  }
  return std::shared_ptr<PointSource>(
      new PointSource(std::move(database), std::move(content), std::move(live), std::move(say)));
}

std::shared_ptr<const View> PointSource::then(const View& now) const {
  if (content_.find(now.id()) == nullptr) return nullptr;
  const std::lock_guard lock(mutex_);
  auto& view = views_[now.id()];
  if (!view) {
    auto family = database_->family(family_name(now.id()));
    if (!family) return nullptr;
    view = std::make_shared<const View>(now.id(), now.qualified_name(), now.source(), now.definition(),
                                        std::move(*family));
  }
  return view;
}

QuerySource::Tables PointSource::tables(std::string_view tenant) const {
  const Tables now = live_(tenant);
  Tables tables{now.tenant, now.version, {}};
  for (const auto& view : now.views) {
    if (auto was = then(*view)) tables.views.push_back(std::move(was));
  }
  return tables;
}

Result<AsOf> PointSource::as_of(const Snapshot& snapshot, std::string_view tenant,
                                const std::vector<std::string>& views) const {
  std::optional<AsOf> least;
  for (const auto& view : tables(tenant).views) {
    if (std::find(views.begin(), views.end(), view->name()) == views.end()) continue;
    ASSIGN_OR_RETURN(const Checkpoint checkpoint, view->checkpoint(snapshot));
    auto as_of = say_({std::string(tenant), view->name()}, checkpoint);
    if (as_of && (!least || is_less_far(*as_of, *least))) least = std::move(as_of);
  }
  return least.value_or(AsOf{});
}

}  // namespace tidemill::views
