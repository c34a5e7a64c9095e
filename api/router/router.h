#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/http/message.h"
#include "api/http/responder.h"
#include "api/http/target.h"
#include "api/limits/gate.h"
#include "api/openapi/operations.h"
#include "api/router/access.h"
#include "api/router/need.h"
#include "engine/audit/audit_trail.h"

namespace tidemill {

struct Route;

// What a handler is given: good until it returns.
struct Call {
  const Route& route;
  const http::Request& request;
  http::Query query;
  std::array<std::string, 2> params;           // of the path template, decoded
  std::array<std::string_view, 2> raw_params;  // as sent
  std::shared_ptr<const Principal> who;        // never nullptr
  std::optional<KeyId> key;                    // that came with it; none: there are no keys, or none is needed
  LimitGate::Limited limited = {};             // whether its key or tenant has limits
  Pass pass;                                   // for answers that have no end
};

struct Route {
  std::string_view method;
  std::string_view path;   // template: /v1/streams/{stream}/records
  std::string_view takes;  // media types of the body, separated by ", "; empty: no body
  std::string_view gives;  // media types of the answer
  std::string_view query;  // parameters it knows, separated by ", "; others are refused, but by probes, /metrics and /
  Need needs;              // what the key must allow
  OperationName label;     // in metrics; and of its row in api/openapi/operations.h, without which it does not compile
  std::function<void(Call&, http::Responder)> handle;
  // Bytes of a body that is no records: read at once and on the network thread, while others wait.
  std::size_t body_max = 256 << 10;

  // Something other than records: what the audit trail names each of.
  bool changes() const { return method != "GET" && needs.action() == Action::admin; }
};

// Finds who answers. The table is the only home of paths and methods: dispatch, 405 and Allow, metric labels, the
// OpenAPI document and the test of docs/http-api.md come from it. Immutable once made; any thread.
class Router {
 public:
  // `keys` may be nullptr: then everybody may do everything. `audit`: who comes, who is turned away and who asks for a
  // change is noted there; nullptr: nowhere. `limiter` may be nullptr: then as much as they like. All outlive the
  // router.
  explicit Router(std::vector<Route> routes, Keys* keys = nullptr, AuditTrail* audit = nullptr,
                  Limiter* limiter = nullptr);

  // Answers by itself what no route does: 404, 405, OPTIONS, no key or one that does not allow it, a broken path or
  // query, parameters and bodies that the route does not take.
  void dispatch(const http::Request& request, http::Responder responder) const;
  // Whether dispatch() would look at the body of this request: not where the key does not allow it, or where it says
  // that it is larger than the route takes. Notes and counts nothing, for dispatch() follows.
  bool wants_body(const http::Request& head) const;

  std::span<const Route> routes() const { return routes_; }
  std::string_view label(std::uint16_t index) const;  // 0 is "none": refused before a route was found
  std::size_t labels() const { return routes_.size() + 1; }
  const Access& access() const { return access_; }
  const LimitGate& gate() const { return gate_; }

 private:
  struct Pattern {
    std::vector<std::string_view> segments;  // a parameter begins with `{`
  };
  std::string allow(std::string_view path) const;
  void note_admission(const Route& route, const http::Request& request, const Admission& admission) const;

  std::vector<Route> routes_;
  std::vector<Pattern> patterns_;
  Access access_;
  AuditTrail* const audit_;
  LimitGate gate_;
};

struct ApiContext;
// 403 that names the missing scope, counted and noted. For what a route's Need cannot say: SQL, records behind rows,
// keys.
http::Response forbid(ApiContext& context, const Call& call, std::string_view scope);

// What the audit trail is told of a call.
AuditRequest audit_request(const Call& call);

}  // namespace tidemill
