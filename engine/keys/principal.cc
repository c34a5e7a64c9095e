#include "engine/keys/principal.h"

#include <algorithm>
#include <utility>

namespace tidemill {
namespace {

constexpr std::size_t kNameMax = 128;

constexpr std::pair<std::string_view, Thing> kThings[] = {
    {"stream", Thing::stream}, {"view", Thing::view}, {"server", Thing::server}, {"instance", Thing::instance}};
constexpr std::pair<std::string_view, Action> kActions[] = {{"see", Action::see},
                                                            {"write", Action::write},
                                                            {"read", Action::read},
                                                            {"query", Action::query},
                                                            {"admin", Action::admin}};

bool has_name(Thing thing) {
  return thing == Thing::stream || thing == Thing::view;
}

bool can_be_given(Thing thing, Action action) {
  if (action == Action::admin) return true;
  if (thing == Thing::stream) return action == Action::write || action == Action::read;
  if (thing == Thing::view) return action == Action::query;
  return action == Action::read;
}

bool valid_pattern(std::string_view name) {
  if (name.empty() || name.size() > kNameMax) return false;
  const std::string_view plain = name.substr(0, name.ends_with('*') ? name.size() - 1 : name.size());
  return std::all_of(plain.begin(), plain.end(),
                     [](unsigned char c) { return c > 0x20 && c != 0x7f && c != '*' && c != ':' && c != ','; });
}

bool fits(std::string_view pattern, std::string_view name) {
  if (pattern.ends_with('*')) return name.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == name;
}

bool covers(const Scope& scope, Action action, Thing thing, std::string_view name) {
  switch (scope.thing) {
    case Thing::instance:
      if (scope.action == Action::admin) return true;
      return action == Action::read && (thing == Thing::instance || thing == Thing::server);
    case Thing::server:
      if (thing == Thing::instance) return false;
      if (scope.action == Action::admin) return true;
      return action == Action::see || (thing == Thing::server && action == Action::read);
    case Thing::stream:
    case Thing::view:
      return thing == scope.thing && fits(scope.name, name) &&
             (action == scope.action || scope.action == Action::admin || action == Action::see);
  }
  return false;
}

}  // namespace

std::optional<Scope> parse_scope(std::string_view text) {
  const std::size_t first = text.find(':');
  if (first == std::string_view::npos) return std::nullopt;
  const auto* thing = std::find_if(std::begin(kThings), std::end(kThings),
                                   [&](const auto& t) { return t.first == text.substr(0, first); });
  if (thing == std::end(kThings)) return std::nullopt;
  const std::size_t last = text.rfind(':');
  if (has_name(thing->second) != (last != first)) return std::nullopt;
  const auto* action = std::find_if(std::begin(kActions), std::end(kActions),
                                    [&](const auto& a) { return a.first == text.substr(last + 1); });
  if (action == std::end(kActions) || !can_be_given(thing->second, action->second)) return std::nullopt;
  Scope scope{thing->second, action->second, {}};
  if (last != first) {
    scope.name = text.substr(first + 1, last - first - 1);
    if (!valid_pattern(scope.name)) return std::nullopt;
  }
  return scope;
}

std::string scope_text(Thing thing, Action action, std::string_view name) {
  std::string text(kThings[static_cast<std::size_t>(thing)].first);
  if (has_name(thing)) text.append(":").append(name);
  return text.append(":").append(kActions[static_cast<std::size_t>(action)].first);
}

bool Principal::may(Action action, Thing thing, std::string_view name) const {
  return everything ||
         std::any_of(scopes.begin(), scopes.end(), [&](const Scope& s) { return covers(s, action, thing, name); });
}

bool Principal::may_give(const Scope& scope, std::string_view of_tenant) const {
  if (may(Action::admin, Thing::instance)) return true;
  return scope.thing != Thing::instance && of_tenant == tenant && may(Action::admin, Thing::server);
}

}  // namespace tidemill
