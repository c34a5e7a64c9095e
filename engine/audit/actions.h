#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tidemill {

// Every action that the list of events shows, in the order in which they are named to somebody: those of the audit
// trail and, but for key.used, the event types of the system stream (docs/formats/audit.md,
// docs/formats/system-stream.md).
std::span<const std::string_view> audit_actions();

// Does an action, or one with `*` at its end, mean this one? An empty one means all.
bool means_action(std::string_view wanted, std::string_view action);
bool means_any_action(std::string_view wanted);

std::string listed_audit_actions();  // with commas between

}  // namespace tidemill
