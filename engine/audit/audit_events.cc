#include "engine/audit/audit_events.h"

#include "engine/json/writer.h"

namespace tidemill {
namespace {

void write_times(JsonWriter& json, const AuditTimes& times) {
  json.field("count", times.count);
  if (times.count > 1) json.field("first", format_rfc3339(times.first)).field("last", format_rfc3339(times.last));
}

void write_if(JsonWriter& json, std::string_view name, std::string_view value) {
  if (!value.empty()) json.field(name, value);
}

std::string_view action_of(AuditSum::Of of) {
  switch (of) {
    case AuditSum::Of::denied:
      break;
    case AuditSum::Of::asked:
      return kChangeAsked;
    case AuditSum::Of::accepted:
      return kAuthAccepted;
    case AuditSum::Of::ended:
      return kAuthEnded;
  }
  return kAuthDenied;
}

std::string_view action_of(AuditNote::Kind kind) {
  switch (kind) {
    case AuditNote::Kind::denied:
      break;
    case AuditNote::Kind::asked:
      return kChangeAsked;
    case AuditNote::Kind::ended:
      return kAuthEnded;
  }
  return kAuthDenied;
}

}  // namespace

AuditEvent accepted_event(const AuditGather::User& user, const AuditGather::Used& used) {
  AuditEvent event{kAuthAccepted, {}, used.times.count};
  JsonWriter json(event.json);
  json.begin_object().field("key", to_text(user.key)).field("tenant", used.tenant).field("address", user.address);
  write_times(json, used.times);
  json.end_object();
  return event;
}

AuditEvent note_event(const AuditNote& note, const AuditTimes& times) {
  AuditEvent event{action_of(note.kind), {}, times.count};
  JsonWriter json(event.json);
  json.begin_object();
  write_if(json, "reason", note.reason);
  write_if(json, "needs", note.needs);
  if (note.key) json.field("key", to_text(*note.key));
  write_if(json, "tenant", note.tenant);
  json.field("method", note.method).field("route", note.route);
  write_if(json, "name", note.name);
  json.field("address", note.address);
  write_times(json, times);
  json.end_object();
  return event;
}

AuditEvent summed_event(const AuditSum& sum, const AuditTimes& times) {
  const std::string_view of = action_of(sum.of);
  AuditEvent event{kAuditSummed, {}, times.count};
  JsonWriter json(event.json);
  json.begin_object().field("of", of);
  write_if(json, "reason", sum.reason);
  write_if(json, "tenant", sum.tenant);
  write_times(json, times);
  json.field("text", "and " + std::to_string(times.count) + " more of " + std::string(of) +
                         ": there were too many different ones for an event each");
  json.end_object();
  return event;
}

AuditEvent lost_event(const AuditTimes& times) {
  AuditEvent event{kAuditLost, {}, times.count};
  JsonWriter json(event.json);
  json.begin_object();
  write_times(json, times);
  json.field("text", "the audit trail could not be written: what it had to say of " + std::to_string(times.count) +
                         " requests is lost");
  json.end_object();
  return event;
}

std::vector<AuditEvent> events_of(const AuditGather::Gathered& gathered) {
  std::vector<AuditEvent> events;
  for (const auto& [user, used] : gathered.accepted) events.push_back(accepted_event(user, used));
  for (const auto& [note, times] : gathered.notes) events.push_back(note_event(note, times));
  for (const auto& [sum, times] : gathered.beyond.all()) events.push_back(summed_event(sum, times));
  return events;
}

}  // namespace tidemill
