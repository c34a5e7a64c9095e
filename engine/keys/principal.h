#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidemill {

// What somebody may do, and to what. `see` is to know of a thing and how it is defined: whoever may do anything to it
// may see it. `admin` of a thing includes all else.
enum class Action : std::uint8_t { see, write, read, query, admin };
enum class Thing : std::uint8_t { stream, view, server, instance };

// One permission, as a key has it: `stream:NAME:write|read|admin`, `view:NAME:query|admin`, `server:read|admin` (all of
// the key's tenant) and `instance:read|admin` (what is no tenant's: metrics, the cut, keys of any tenant). NAME may end
// in `*`, which stands for anything, also nothing.
struct Scope {
  Thing thing = Thing::stream;
  Action action = Action::read;
  std::string name;  // of a stream or a view
  auto operator<=>(const Scope&) const = default;
};
std::optional<Scope> parse_scope(std::string_view text);
std::string scope_text(Thing thing, Action action, std::string_view name = {});
inline std::string scope_text(const Scope& scope) {
  return scope_text(scope.thing, scope.action, scope.name);
}

// On whose behalf a request is served. Immutable; lives as long as somebody holds it. Without keys everybody is the
// `default` tenant's and may do everything.
struct Principal {
  std::string tenant = "default";  // whose streams and views there are for it; nothing in a URL or body names another
  bool everything = true;          // no key was ever made
  std::vector<Scope> scopes;       // else what it may do; what is not in them it may not

  bool may(Action action, Thing thing, std::string_view name = {}) const;
  // Whether it may give somebody a key of that tenant with this scope: nobody gives what is not theirs.
  bool may_give(const Scope& scope, std::string_view of_tenant) const;
};

}  // namespace tidemill
