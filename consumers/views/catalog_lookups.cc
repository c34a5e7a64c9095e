// Views that others look up: they stay as they are as long as that is so.
#include <algorithm>
#include <set>

#include "consumers/views/catalog.h"

namespace tidemill::views {
namespace {

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (std::size_t i = 0; i < names.size(); ++i)
    out += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
  return out;
}

}  // namespace

std::vector<std::string> Catalog::looking_up(const QualifiedName& name) const {
  std::vector<std::pair<std::string, std::string>> texts;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [view, its] : defined_.all()) {
      if (view.tenant != name.tenant) continue;
      texts.emplace_back(view.name, its.serving.event.sql);
      if (its.building) texts.emplace_back(view.name, its.building->event.sql);
    }
  }
  std::vector<std::string> out;
  for (const auto& [view, sql] : texts) {
    const auto names = looked_up(sql);
    const bool does = view != name.name && std::find(names.begin(), names.end(), name.name) != names.end();
    if (does && (out.empty() || out.back() != view)) out.push_back(view);
  }
  return out;
}

std::optional<SqlError> Catalog::refuse_in_use(const QualifiedName& name, std::string_view to_do) const {
  const auto by = looking_up(name);
  if (by.empty()) return std::nullopt;
  const std::string& view = name.name;
  return SqlError{"view_in_use",
                  "The view " + view + " is looked up by " + listed(by) + ", and cannot be " + std::string(to_do) +
                      " meanwhile. " +
                      (to_do == "dropped" ? "Drop " + listed(by) +
                                                " first, or change the definition so "
                                                "that it looks up another view."
                                          : "Create the new definition under another name, have " + listed(by) +
                                                " look that up with ALTER VIEW, then drop " + view + ".")};
}

std::shared_ptr<const View> Catalog::view_named(const QualifiedName& name) const {
  const auto there = entry(name);
  return there ? there->live->view : nullptr;
}

std::optional<SqlError> Catalog::refuse_lookups(const Wanted& wanted) const {
  // Through all that those look up, too.
  std::vector<std::string> around;
  for (const Lookup& l : wanted.definition.lookups) around.push_back(l.view);
  std::set<std::string> known(around.begin(), around.end());
  for (std::size_t i = 0; i < around.size(); ++i) {
    const auto there = entry({wanted.name.tenant, around[i]});
    if (!there) continue;
    for (const Lookup& l : there->live->view->definition().lookups)
      if (known.insert(l.view).second) around.push_back(l.view);
  }
  for (const Lookup& l : wanted.definition.lookups) {
    if (l.view == wanted.name.name)
      return SqlError{"invalid_view",
                      "A view cannot look up itself: aggregates know a key's earlier records, as last(x) does."};
  }
  if (!wanted.name.name.empty() && known.contains(wanted.name.name)) {
    return SqlError{"invalid_view", "The view " + wanted.definition.lookups[0].view + " looks up " + wanted.name.name +
                                        " itself, directly or through others: views cannot look each other up. Join "
                                        "them when reading."};
  }
  const std::lock_guard lock(mutex_);
  for (const Lookup& l : wanted.definition.lookups) {
    const auto* view = defined_.find({wanted.name.tenant, l.view});
    if (view == nullptr || !view->building) continue;
    return SqlError{"view_changing", "The view " + l.view +
                                         " is being given another definition: look it up when that is served. GET "
                                         "/v1/views/" +
                                         l.view + " has no `building` any more then."};
  }
  return std::nullopt;
}

SqlResult<std::vector<std::shared_ptr<const LiveView>>> Catalog::lookups_of(const std::string& tenant,
                                                                            const Definition& definition) const {
  std::vector<std::shared_ptr<const LiveView>> out;
  for (const Lookup& l : definition.lookups) {
    const auto there = entry({tenant, l.view});
    if (!there) return SqlError{"no_such_view", "There is no view " + l.view + ", which it looks up."};
    out.push_back(there->live);
  }
  return out;
}

// Each after those that it looks up, and what is built aside after all that is served.
void Catalog::attach_all_at_start(const ViewDefinitions& defined) {
  std::set<QualifiedName> begun;
  const std::function<void(const QualifiedName&)> attach_served = [&](const QualifiedName& name) {
    const auto* view = defined.find(name);
    if (view == nullptr || !begun.insert(name).second) return;
    for (const std::string& other : looked_up(view->serving.event.sql)) attach_served({name.tenant, other});
    attach_at_start(view->serving, false);
  };
  for (const auto& [name, view] : defined.all()) attach_served(name);
  for (const auto& [name, view] : defined.all())
    if (view.building) attach_at_start(*view.building, true);
}

}  // namespace tidemill::views
