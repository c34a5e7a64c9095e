#include "api/router/router.h"

#include <algorithm>
#include <charconv>

#include "api/errors/problem.h"
#include "api/media_type.h"
#include "api/router/cross_site.h"

namespace tidemill {
namespace {

constexpr std::size_t kSegmentsMax = 8;

// Without the empty one before the first slash. Too many: the last holds the rest, and no route matches.
std::size_t split(std::string_view path, std::array<std::string_view, kSegmentsMax>& out) {
  std::size_t n = 0;
  if (!path.starts_with('/')) return 0;
  path.remove_prefix(1);
  while (n < kSegmentsMax) {
    const std::size_t slash = n + 1 == kSegmentsMax ? std::string_view::npos : path.find('/');
    out[n++] = path.substr(0, slash);
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return n;
}

bool matches(std::span<const std::string_view> pattern, std::span<const std::string_view> path) {
  if (pattern.size() != path.size()) return false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i].starts_with('{') ? path[i].empty() : pattern[i] != path[i]) return false;
  }
  return true;
}

// Whether a list such as "a, b" has it.
bool lists(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const std::size_t end = list.find(", ");
    if (list.substr(0, end) == word) return true;
    list = end == std::string_view::npos ? std::string_view() : list.substr(end + 2);
  }
  return false;
}

// A name as the client gave it, for a sentence.
std::string quoted(std::string_view name) {
  return "`" + std::string(name.substr(0, 60)) + (name.size() > 60 ? "..." : "") + "`";
}

// Who is shut out can ask why, and the operator can change it. All else about limits is a request like others: what a
// tenant's admin sets costs events and reading of usage.
bool never_limited(const Route& route, const Principal& who) {
  return route.path == "/v1/limits" ||
         (route.path.starts_with("/v1/limits/") && who.may(Action::admin, Thing::instance));
}

std::optional<http::Response> refuse_query(const Route& route, const http::Query& query) {
  if (const std::string* twice = query.repeated()) {
    return problem(ErrorId::invalid_parameter, quoted(*twice) + " comes twice; send it once.");
  }
  // Probes, scrapers and browsers add what they like.
  if (route.query.empty() && !route.path.starts_with("/v1/")) return std::nullopt;
  for (const auto& [name, value] : query.all()) {
    if (lists(route.query, name)) continue;
    return problem(ErrorId::invalid_parameter,
                   quoted(name) + " is not a parameter of this path; it " +
                       (route.query.empty() ? "has none." : "takes " + std::string(route.query) + "."));
  }
  return std::nullopt;
}

// Of the body, by what the head says and by what has come: a chunked one says nothing before.
std::size_t body_bytes(const http::Request& request) {
  const std::string_view text = request.header("Content-Length");
  std::size_t length = 0;
  std::from_chars(text.data(), text.data() + text.size(), length);  // the parser has let nothing but a number pass
  return std::max(length, request.body.size());
}

// Records have limits of their own (limits.body), and where no body is taken none is read.
bool body_too_large(const Route& route, const http::Request& request) {
  return !route.takes.empty() && !route.needs.writes_records() && body_bytes(request) > route.body_max;
}

// Judges what is said about the body, before anybody looks at it.
std::optional<http::Response> refuse_body(const Route& route, const http::Request& request) {
  if (route.takes.empty()) return std::nullopt;
  if (!request.has_length && route.method == "POST") {
    // If there is a body all the same, nobody knows where it ends.
    http::Response response = problem(ErrorId::length_required);
    response.close = true;
    return response;
  }
  const std::size_t types = request.count("Content-Type");
  if (types > 1) return problem(ErrorId::unsupported_media_type, "Content-Type comes twice; send it once.");
  const bool records = route.needs.writes_records();
  const MediaType type = parse_media_type(request.header("Content-Type"));
  // `curl -d` says that it sends a form, and many say nothing: where only JSON is taken that is clear enough.
  const bool unsaid = type.type.empty() || type.is("application/x-www-form-urlencoded");
  if (!(unsaid && !records) && !lists(route.takes, canonical_type(type.type))) {
    return problem(ErrorId::unsupported_media_type,
                   "This path takes " + std::string(route.takes) + ", and " +
                       (types == 0 ? "there is no Content-Type." : "the Content-Type is another."));
  }
  if (records) return std::nullopt;  // a charset, and packed bodies, are looked at where they are read
  if (!type.charset.empty() && !http::iequals(type.charset, "utf-8") && !http::iequals(type.charset, "us-ascii")) {
    return problem(ErrorId::unsupported_media_type, "This charset is not taken; send UTF-8.");
  }
  const std::string_view packed = request.header("Content-Encoding");
  if (!packed.empty() && !http::iequals(packed, "identity")) {
    return problem(ErrorId::unsupported_encoding, "Only records may be packed.");
  }
  return std::nullopt;
}

}  // namespace

Router::Router(std::vector<Route> routes, Keys* keys, AuditTrail* audit, Limiter* limiter)
    : routes_(std::move(routes)), access_(keys), audit_(audit), gate_(limiter) {
  for (const Route& route : routes_) {
    std::array<std::string_view, kSegmentsMax> segments;
    const std::size_t n = split(route.path, segments);
    patterns_.push_back({{segments.begin(), segments.begin() + static_cast<std::ptrdiff_t>(n)}});
  }
}

std::string_view Router::label(std::uint16_t index) const {
  if (index == 0 || index > routes_.size()) return "none";
  return routes_[index - 1].label;
}

std::string Router::allow(std::string_view path) const {
  std::array<std::string_view, kSegmentsMax> segments;
  const std::size_t n = split(path, segments);
  std::vector<std::string_view> methods;
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    if (matches(patterns_[i].segments, {segments.data(), n})) {
      methods.push_back(routes_[i].method);
      if (routes_[i].method == "GET") methods.push_back("HEAD");
    }
  }
  if (methods.empty()) return {};
  methods.push_back("OPTIONS");
  std::sort(methods.begin(), methods.end());
  std::string text;
  for (const auto m : methods) text.append(text.empty() ? "" : ", ").append(m);
  return text;
}

void Router::note_admission(const Route& route, const http::Request& request, const Admission& admission) const {
  AuditRequest noted{admission.key, {}, route.method, route.label, {}, request.address};
  if (admission.refusal) {
    const auto key = admission.key ? access_.keys()->find(*admission.key) : std::nullopt;
    if (key) noted.tenant = key->tenant;
    return audit_->denied(noted, denial_name(admission.denial), {});
  }
  if (!admission.key) return;  // none is needed
  noted.tenant = admission.who->tenant;
  audit_->accepted(noted);
}

bool Router::wants_body(const http::Request& head) const {
  std::array<std::string_view, kSegmentsMax> segments;
  const std::size_t n = split(head.path, segments);
  const std::string_view method = head.method == "HEAD" ? std::string_view("GET") : head.method;
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    const auto& pattern = patterns_[i].segments;
    if (routes_[i].method != method || !matches(pattern, {segments.data(), n})) continue;
    const auto param = std::find_if(pattern.begin(), pattern.end(), [](auto part) { return part.starts_with('{'); });
    std::optional<std::string> value(std::in_place);
    if (param != pattern.end())
      value = http::percent_decode(segments[static_cast<std::size_t>(param - pattern.begin())]);
    if (body_too_large(routes_[i], head)) return false;
    return !value || access_.may_pass(routes_[i].needs, head, *value);
  }
  return false;  // 404 or 405, whatever comes
}

void Router::dispatch(const http::Request& request, http::Responder responder) const {
  const std::string_view method = request.method == "HEAD" ? std::string_view("GET") : request.method;
  std::array<std::string_view, kSegmentsMax> segments;
  const std::size_t n = split(request.path, segments);
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    const Route& route = routes_[i];
    const auto& pattern = patterns_[i].segments;
    if (route.method != method || !matches(pattern, {segments.data(), n})) continue;
    responder.set_label(static_cast<std::uint16_t>(i + 1));
    // Who asks comes before all else: nobody learns anything from what is wrong with a request that they may not make.
    Admission admission = access_.admit(route.needs, request);
    if (audit_) note_admission(route, request, admission);
    if (admission.refusal) return responder.send(std::move(*admission.refusal));
    Call call{route, request, {}, {}, {}, std::move(admission.who), admission.key, {}, admission.pass};
    if (auto refusal = route.needs.needs_key() ? refuse_cross_site(request) : std::nullopt) {
      access_.count(Denial::forbidden);
      if (audit_ && call.key) audit_->denied(audit_request(call), denial_name(Denial::forbidden), {});
      return responder.send(std::move(*refusal));
    }
    // What is above its limits goes before anything is made of it.
    if (gate_.on() && route.needs.needs_key() && !never_limited(route, *call.who)) {
      if (auto refusal = gate_.admit(call.key, call.who->tenant, responder, call.limited)) {
        return responder.send(std::move(*refusal));
      }
    }
    std::size_t param = 0;
    for (std::size_t s = 0; s < pattern.size(); ++s) {
      if (!pattern[s].starts_with('{')) continue;
      auto value = http::percent_decode(segments[s]);
      if (!value) return responder.send(problem(ErrorId::target_invalid, "The path is not valid percent-encoding."));
      call.raw_params[param] = segments[s];
      call.params[param++] = std::move(*value);
    }
    if (auto refusal = access_.refuse(route.needs, *call.who, call.params[0])) {
      if (audit_) audit_->denied(audit_request(call), denial_name(Denial::forbidden), route.needs.text(call.params[0]));
      return responder.send(std::move(*refusal));
    }
    if (body_too_large(route, request))
      return responder.send(problem(ErrorId::body_too_large, "A body of this path has at most " +
                                                                 std::to_string(route.body_max >> 10) + " KiB."));
    // It was refused when its body was not waited for, and would not be now: a key was made in between.
    if (request.body_unread) return responder.send(problem(ErrorId::throttled, "The key has only just been made."));
    auto query = http::Query::parse(request.query);
    if (!query) {
      return responder.send(problem(ErrorId::target_invalid, "The query is not valid percent-encoding."));
    }
    if (auto refusal = refuse_query(route, *query)) return responder.send(std::move(*refusal));
    if (auto refusal = refuse_body(route, request)) return responder.send(std::move(*refusal));
    call.query = std::move(*query);
    if (route.changes()) {
      if (auto refusal = gate_.change(*call.who, call.key, call.limited)) return responder.send(std::move(*refusal));
      if (audit_ && call.key) audit_->asked(audit_request(call));
    }
    return route.handle(call, std::move(responder));
  }
  const bool options = request.method == "OPTIONS";
  const std::string methods =
      options && request.path == "*" ? "DELETE, GET, HEAD, OPTIONS, POST, PUT" : allow(request.path);
  if (methods.empty()) {
    const bool slash = request.path.ends_with('/') && !allow(request.path.substr(0, request.path.size() - 1)).empty();
    return responder.send(problem(ErrorId::not_found, slash ? "Leave out the slash at the end." : ""));
  }
  if (options) {
    http::Response response;
    response.status = 204;
    response.add_header("Allow", methods);
    return responder.send(std::move(response));
  }
  http::Response response = problem(ErrorId::method_not_allowed);
  response.add_header("Allow", methods);
  responder.send(std::move(response));
}

}  // namespace tidemill
