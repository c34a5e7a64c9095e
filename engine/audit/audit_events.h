#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/audit/audit_gather.h"

namespace tidemill {

// An event of the audit trail, as its record has it (docs/formats/audit.md): the partition key is the action.
struct AuditEvent {
  std::string_view action;
  std::string json;
  std::uint64_t requests = 0;  // that it stands for
};

inline constexpr std::string_view kAuthAccepted = "auth.accepted";
inline constexpr std::string_view kAuthDenied = "auth.denied";
inline constexpr std::string_view kAuthEnded = "auth.ended";
inline constexpr std::string_view kChangeAsked = "change.asked";
inline constexpr std::string_view kAuditSummed = "audit.summed";
inline constexpr std::string_view kAuditLost = "audit.lost";

AuditEvent accepted_event(const AuditGather::User& user, const AuditGather::Used& used);
AuditEvent note_event(const AuditNote& note, const AuditTimes& times);
// Too many different ones came in a second: so many more are only counted.
AuditEvent summed_event(const AuditSum& sum, const AuditTimes& times);
AuditEvent lost_event(const AuditTimes& times);

// One event for each of these, the sums last.
std::vector<AuditEvent> events_of(const AuditGather::Gathered& gathered);

}  // namespace tidemill
