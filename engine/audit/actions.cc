#include "engine/audit/actions.h"

#include <algorithm>

#include "engine/audit/audit_events.h"

namespace tidemill {
namespace {

constexpr std::string_view kActions[] = {kAuthAccepted,
                                         kAuthDenied,
                                         kAuthEnded,
                                         kChangeAsked,
                                         kAuditSummed,
                                         kAuditLost,
                                         "key.created",
                                         "key.rotated",
                                         "key.revoked",
                                         "key.bound",
                                         "key.unbound",
                                         "limits.set",
                                         "limits.removed",
                                         "stream.creating",
                                         "stream.created",
                                         "stream.derived",
                                         "stream.created_in_tenant",
                                         "stream.changed",
                                         "stream.resharded",
                                         "stream.removed",
                                         "view.created",
                                         "view.altering",
                                         "view.kept",
                                         "view.decided",
                                         "view.dropped"};

}  // namespace

std::span<const std::string_view> audit_actions() {
  return kActions;
}

bool means_action(std::string_view wanted, std::string_view action) {
  if (wanted.empty()) return true;
  if (wanted.ends_with('*')) return action.starts_with(wanted.substr(0, wanted.size() - 1));
  return wanted == action;
}

bool means_any_action(std::string_view wanted) {
  return std::any_of(std::begin(kActions), std::end(kActions),
                     [&](std::string_view action) { return means_action(wanted, action); });
}

std::string listed_audit_actions() {
  std::string out;
  for (const std::string_view action : kActions) out.append(out.empty() ? "" : ", ").append(action);
  return out;
}

}  // namespace tidemill
