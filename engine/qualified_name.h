#pragma once

#include <compare>
#include <string>
#include <string_view>

namespace tidemill {

// Whose everything is until there are keys, and what was made before there were tenants.
inline constexpr std::string_view kDefaultTenant = "default";

// A name that a tenant may have: [a-z0-9][a-z0-9-]{0,62}. So it is a directory's name as it stands, and never one of
// ours, which begin with `_`.
bool valid_tenant_name(std::string_view name);

// What a stream, a view or a group is found by: a name alone says nothing, for the same name in two tenants is two
// things. There is no way to make one of a name alone, so that nobody forgets whose it is.
struct QualifiedName {
  std::string tenant;
  std::string name;
  auto operator<=>(const QualifiedName&) const = default;
};
// Of the default tenant, for what speaks for the instance as a whole: its configuration, its tests.
QualifiedName in_default(std::string_view name);

// For the operator, in logs, findings and lists over all tenants: NAME, or TENANT/NAME where it is not the default
// tenant's. Neither can hold a slash. Not for what a tenant sees: it knows of no other.
std::string text_of(const QualifiedName& name);
QualifiedName qualified_from(std::string_view text);  // of text_of()

}  // namespace tidemill
