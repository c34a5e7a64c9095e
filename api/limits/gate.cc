#include "api/limits/gate.h"

#include <algorithm>
#include <charconv>

#include "api/errors/problem.h"

namespace tidemill {
namespace {

void append(std::string& out, std::uint64_t n) {
  char text[20];
  out.append(text, std::to_chars(text, text + sizeof text, n).ptr);
}

// How headers and problems name a limit: key-requests, tenant-records-day.
void append_policy(std::string& out, LimitKind kind, Measure measure, bool of_tenant) {
  out.append(of_tenant ? "tenant-" : "key-").append(measure_name(measure));
  if (kind == LimitKind::day_quota) out.append("-day");
  if (kind == LimitKind::month_quota) out.append("-month");
}

void append_parameter(std::string& out, std::string_view name, std::uint64_t n) {
  out.append(name);
  append(out, n);
}

bool same_limit(const Standing& a, const Standing& b) {
  return a.kind == b.kind && a.measure == b.measure && a.of_tenant == b.of_tenant && a.most == b.most &&
         a.window == b.window;
}

// What of the headers is the same as long as the limits are: most requests of a thread come with the limits of the one
// before, and to write it anew for each would take longer than all that changes.
class PolicyText {
 public:
  void be_of(const std::vector<Standing>& standings) {
    if (std::equal(of_.begin(), of_.end(), standings.begin(), standings.end(), same_limit)) return;
    of_ = standings;
    names_.clear();
    line_ = "RateLimit-Policy";
    for (const Standing& s : standings) {
      std::string& name = names_.emplace_back(names_.empty() ? ": \"" : ", \"");
      append_policy(name, s.kind, s.measure, s.of_tenant);
      name.push_back('"');
      line_.append(name);
      append_parameter(line_, ";q=", s.most);
      append_parameter(line_, ";w=", static_cast<std::uint64_t>(s.window.count()));
      // Requests are what is meant where nothing is said. The draft's registry has no word for records.
      if (s.measure == Measure::records) line_.append(";qu=\"records\"");
      if (s.measure == Measure::bytes) line_.append(";qu=\"content-bytes\"");
    }
    line_.append("\r\n");
  }
  const std::string& line() const { return line_; }
  const std::string& name(std::size_t i) const { return names_[i]; }  // with what stands before it in a list

 private:
  std::vector<Standing> of_;
  std::vector<std::string> names_;
  std::string line_;
};

void set_headers(const std::vector<Standing>& standings, http::Responder& responder) {
  if (standings.empty()) return responder.set_headers({});
  thread_local PolicyText policy;
  thread_local std::string lines;
  policy.be_of(standings);
  lines.assign(policy.line()).append("RateLimit");
  for (std::size_t i = 0; i < standings.size(); ++i) {
    lines.append(policy.name(i));
    append_parameter(lines, ";r=", standings[i].left);
    append_parameter(lines, ";t=", static_cast<std::uint64_t>(std::max<std::int64_t>(0, standings[i].renewed.count())));
  }
  lines.append("\r\n");
  responder.set_headers(lines);
}

// Of this thread: nothing is allocated for a request.
std::vector<Standing>& kept_standings() {
  thread_local std::vector<Standing> standings;
  return standings;
}

ErrorId error_of(LimitKind kind) {
  switch (kind) {
    case LimitKind::rate:
      return ErrorId::rate_limited;
    case LimitKind::day_quota:
    case LimitKind::month_quota:
      return ErrorId::quota_exceeded;
    case LimitKind::connections:
      return ErrorId::connection_limit;
    case LimitKind::streams:
      return ErrorId::stream_limit;
    case LimitKind::disk:
      return ErrorId::disk_limit;
    case LimitKind::changes:
      return ErrorId::change_limit;
  }
  return ErrorId::internal;
}

// A quota that is smaller than the request: waiting does not help.
bool never_passes(const Refusal& r) {
  return (r.kind == LimitKind::day_quota || r.kind == LimitKind::month_quota) && r.asked > r.most;
}

std::string sentence(const Refusal& r) {
  const std::string most = std::to_string(r.most);
  const std::string of = r.of_tenant ? "the tenant" : "the key";
  std::string measure(measure_name(r.measure));
  if (r.most == 1) measure.pop_back();  // of requests, records, bytes
  switch (r.kind) {
    case LimitKind::rate:
      return "The limit of " + of + " is " + most + " " + measure + " a second.";
    case LimitKind::day_quota:
    case LimitKind::month_quota: {
      const std::string period = r.kind == LimitKind::day_quota ? "day" : "month";
      std::string text = "The quota of " + of + " is " + most + " " + measure + " a " + period + ".";
      if (never_passes(r))
        return text + " This request alone has " + std::to_string(r.asked) +
               ": it can never pass. Send fewer at once, or have the quota raised.";
      return text + " Send again after Retry-After, when the next " + period +
             " begins (UTC), or have the quota raised.";
    }
    case LimitKind::connections:
      return "The limit of " + of + " is " + most + (r.most == 1 ? " connection" : " connections") + " open at a time.";
    case LimitKind::streams:
      return "The limit of " + of + " is " + most + (r.most == 1 ? " stream." : " streams.");
    case LimitKind::disk:
      return "The limit of " + of + " is " + most + (r.most == 1 ? " byte." : " bytes.");
    case LimitKind::changes:
      return "The limit of " + of + " is " + most + (r.most == 1 ? " change" : " changes") + " an hour.";
  }
  return {};
}

}  // namespace

http::Response limit_problem(const Refusal& refusal) {
  const bool timed =
      refusal.kind == LimitKind::rate || refusal.kind == LimitKind::day_quota || refusal.kind == LimitKind::month_quota;
  std::string members;
  if (timed) {
    members = ",\"violated-policies\":[\"";
    append_policy(members, refusal.kind, refusal.measure, refusal.of_tenant);
    members += "\"]";
  }
  http::Response response = problem(error_of(refusal.kind), sentence(refusal), members);
  if ((timed && !never_passes(refusal)) || refusal.kind == LimitKind::changes) {
    const auto s = std::chrono::ceil<std::chrono::seconds>(refusal.retry_after).count();
    response.add_header("Retry-After", std::to_string(std::max<std::int64_t>(1, s)));
  }
  // The others of this connection would be refused as well.
  response.close = refusal.kind == LimitKind::connections;
  return response;
}

LimitGate::Refused LimitGate::admit(const std::optional<KeyId>& key, const std::string& tenant,
                                    http::Responder& responder, Limited& limited) const {
  auto& standings = kept_standings();
  const Limiter::Admitted admitted = limiter_->admit(key, tenant, &standings);
  limited = admitted.limited;
  // It counted for another key, or a limit that is gone.
  if (!admitted.connections) responder.kept_by_connection().reset();
  if (!limited) return std::nullopt;
  set_headers(standings, responder);
  if (admitted.refused) return limit_problem(*admitted.refused);
  if (!admitted.connections) return std::nullopt;
  const auto refusal = limiter_->hold(key, tenant, responder.kept_by_connection(), *limited);
  return refusal ? Refused(limit_problem(*refusal)) : std::nullopt;
}

LimitGate::Refused LimitGate::foresee(const std::optional<KeyId>& key, const std::string& tenant,
                                      const Amounts& amounts, http::Responder& responder, Limited limited) const {
  const auto refusal = limiter_->foresee(key, tenant, amounts, limited.value_or(MonotonicTime()));
  if (!refusal) return std::nullopt;
  auto& standings = kept_standings();
  limiter_->standings(key, tenant, standings);
  set_headers(standings, responder);
  return limit_problem(*refusal);
}

LimitGate::Refused LimitGate::charge(const std::optional<KeyId>& key, const std::string& tenant, const Amounts& amounts,
                                     http::Responder& responder, Limited limited) const {
  auto& standings = kept_standings();
  standings.clear();
  const auto refusal = limiter_->charge(key, tenant, amounts, limited.value_or(MonotonicTime()), &standings);
  if (!standings.empty()) set_headers(standings, responder);
  return refusal ? Refused(limit_problem(*refusal)) : std::nullopt;
}

LimitGate::Refused LimitGate::change(const Principal& who, const std::optional<KeyId>& key, Limited limited) const {
  if (limiter_ == nullptr || who.may(Action::admin, Thing::instance)) return std::nullopt;
  const auto refusal = limiter_->change(key, who.tenant, limited.value_or(MonotonicTime()));
  return refusal ? Refused(limit_problem(*refusal)) : std::nullopt;
}

}  // namespace tidemill
