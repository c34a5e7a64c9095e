#include "engine/qualified_name.h"

#include <algorithm>

namespace tidemill {

bool valid_tenant_name(std::string_view name) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= 63 && plain(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return plain(c) || c == '-'; });
}

QualifiedName in_default(std::string_view name) {
  return {std::string(kDefaultTenant), std::string(name)};
}

std::string text_of(const QualifiedName& name) {
  return name.tenant == kDefaultTenant ? name.name : name.tenant + "/" + name.name;
}

QualifiedName qualified_from(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return in_default(text);
  return {std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))};
}

}  // namespace tidemill
