#include "api/routes.h"

#include "api/errors/problem.h"
#include "api/openapi/document.h"
#include "api/pages/index.h"

namespace tidemill {
namespace {

constexpr std::string_view kRecordTypes = "application/json, application/x-ndjson, text/csv";
constexpr std::string_view kAfter = "after, wait";
constexpr std::string_view kAtAfter = "at, after, wait";
constexpr std::string_view kSqlTypes = "application/json, application/x-ndjson, text/csv";
constexpr std::size_t kSqlBytes = 1 << 20;        // a statement has 100,000 at most: the rest is for its parameters
constexpr std::size_t kDecisionBytes = 16 << 20;  // a record in it is as large as limits.record lets it be

http::Response text(int status, std::string body) {
  http::Response response;
  response.status = status;
  response.content_type = "text/plain; charset=utf-8";
  response.body = std::move(body);
  response.add_header("Cache-Control", "no-store");
  return response;
}

}  // namespace

std::vector<Route> make_routes(const RouteTargets& t) {
  using http::Responder;
  using enum Action;
  ApiContext& context = t.context;
  std::unique_ptr<Ingest>& ingest = t.ingest;
  Records& records = t.records;
  Streams& streams = t.streams;
  ViewRoutes& views = t.views;
  KeyRoutes& keys = t.keys;
  LimitRoutes& limits = t.limits;
  AuditRoutes& audit = t.audit;

  const auto healthz = [](Call&, Responder r) { r.send(text(200, "ok\n")); };
  const auto readyz = [&context](Call& c, Responder r) {
    if (context.draining.load()) return r.send(problem(ErrorId::draining));
    // Whether views are ready may be asked for without blocking.
    if (context.all_views && !context.all_views->ready()) return r.send(problem(ErrorId::view_not_ready));
    // One view that cannot be opened must not take the others out of service with it. Anybody may ask: of others' views
    // it is only said that there are some.
    std::string said = "ready\n";
    std::size_t others = 0;
    if (context.all_views) {
      for (const auto& view : context.all_views->failed()) {
        if (view.tenant == c.who->tenant) {
          said += "not served: view " + view.name + ": " + view.cause + "\n";
        } else {
          ++others;
        }
      }
    }
    if (others != 0) said += "not served: views of other tenants: " + std::to_string(others) + "\n";
    r.send(text(200, std::move(said)));
  };
  const auto readyz_ingest = [&context](Call&, Responder r) {
    if (context.draining.load()) return r.send(problem(ErrorId::draining));
    r.send(text(200, "ready\n"));
  };
  const auto metrics = [&context, collect = t.metrics](Call&, Responder r) {
    answer_on(context.management, std::move(r), [collect](Responder responder) {
      http::Response response;
      response.content_type = "text/plain; version=0.0.4; charset=utf-8";
      response.body = collect();
      responder.send(std::move(response));
    });
  };

  const auto document = std::make_shared<OpenApi>();

  // The busiest first: they are looked for in this order.
  std::vector<Route> routes{
      {"POST", "/v1/streams/{stream}/records", kRecordTypes, "application/json", "atomic, ack, wait",
       Need::stream(write), "ingest", [&ingest](Call& c, Responder r) { ingest->post(c, std::move(r)); }},
      {"GET", "/v1/streams/{stream}/records", "", "application/json, text/event-stream",
       "from, shard, limit, after, wait", Need::stream(read), "records",
       [&records](Call& c, Responder r) { records.get(c, std::move(r)); }},
      {"GET", "/v1/views/{view}/rows/{key}", "", "application/json", kAtAfter, Need::view(query), "view_row",
       [&views](Call& c, Responder r) { views.row(c, std::move(r)); }},
      {"GET", "/v1/views/{view}/rows", "", "application/json", "key, at, prefix, from, to, limit, cursor, after, wait",
       Need::view(query), "view_rows", [&views](Call& c, Responder r) { views.rows(c, std::move(r)); }},
      {"GET", "/v1/views/{view}/changes", "", "text/event-stream", "key, prefix, from, to, where, cursor, after, wait",
       Need::view(query), "view_changes", [&views](Call& c, Responder r) { views.changes(c, std::move(r)); }},
      {"GET", "/customers/{id}", "", "application/json", kAtAfter, Need::view("customers", query), "customer",
       [&views](Call& c, Responder r) { views.short_form("customers", c, std::move(r)); }},
      {"GET", "/invoices/{id}", "", "application/json", kAtAfter, Need::view("invoices", query), "invoice",
       [&views](Call& c, Responder r) { views.short_form("invoices", c, std::move(r)); }},
      {"POST", "/v1/sql", "application/json", kSqlTypes, kAtAfter, Need::some_key(), "sql",
       [&views](Call& c, Responder r) { views.sql(c, std::move(r)); }, kSqlBytes},
      {"GET", "/v1/history", "", "application/json", "", Need::some_key(), "history",
       [&views](Call& c, Responder r) { views.history(c, std::move(r)); }},
      {"GET", "/v1/streams", "", "application/json", "", Need::some_key(), "streams",
       [&streams](Call& c, Responder r) { streams.list(c, std::move(r)); }},
      {"GET", "/v1/streams/{stream}", "", "application/json", "", Need::stream(see), "stream",
       [&streams](Call& c, Responder r) { streams.get(c, std::move(r)); }},
      {"PUT", "/v1/streams/{stream}", "application/json", "application/json", "", Need::stream(admin), "stream_put",
       [&streams](Call& c, Responder r) { streams.put(c, std::move(r)); }},
      {"DELETE", "/v1/streams/{stream}", "", "", "", Need::stream(admin), "stream_delete",
       [&streams](Call& c, Responder r) { streams.remove(c, std::move(r)); }},
      {"POST", "/v1/streams/{stream}/shards/{shard}/split", "application/json", "application/json", "",
       Need::stream(admin), "shard_split", [&streams](Call& c, Responder r) { streams.split(c, std::move(r)); }},
      {"POST", "/v1/streams/{stream}/shards/{shard}/merge", "application/json", "application/json", "",
       Need::stream(admin), "shard_merge", [&streams](Call& c, Responder r) { streams.merge(c, std::move(r)); }},
      {"GET", "/v1/views", "", "application/json", kAfter, Need::some_key(), "views",
       [&views](Call& c, Responder r) { views.list(c, std::move(r)); }},
      {"GET", "/v1/views/{view}", "", "application/json", kAfter, Need::view(see), "view",
       [&views](Call& c, Responder r) { views.get(c, std::move(r)); }},
      {"PUT", "/v1/views/{view}", "application/json, application/sql", "application/json", "", Need::view(admin),
       "view_put", [&views](Call& c, Responder r) { views.put(c, std::move(r)); }},
      {"DELETE", "/v1/views/{view}", "", "", "", Need::view(admin), "view_delete",
       [&views](Call& c, Responder r) { views.remove(c, std::move(r)); }},
      {"POST", "/v1/views/{view}/verify", "", "application/json", "", Need::view(admin), "view_verify",
       [&views](Call& c, Responder r) { views.verify(c, std::move(r)); }},
      {"GET", "/v1/views/{view}/rows/{key}/why", "", "application/json", "from, order, limit, after, wait",
       Need::view(query), "view_why_row", [&views](Call& c, Responder r) { views.why_row(c, std::move(r)); }},
      {"GET", "/v1/views/{view}/why", "", "application/json", "key, from, order, limit, after, wait", Need::view(query),
       "view_why", [&views](Call& c, Responder r) { views.why(c, std::move(r)); }},
      {"GET", "/v1/views/{view}/quarantine", "", "application/json", "from, limit, after, wait", Need::view(query),
       "view_quarantine", [&views](Call& c, Responder r) { views.quarantine(c, std::move(r)); }},
      {"POST", "/v1/views/{view}/quarantine", "application/json", "application/json", "", Need::view(admin),
       "view_decide_many", [&views](Call& c, Responder r) { views.decide(c, std::move(r)); }},
      {"POST", "/v1/views/{view}/quarantine/{sequence}", "application/json", "application/json", "", Need::view(admin),
       "view_decide", [&views](Call& c, Responder r) { views.decide(c, std::move(r)); }, kDecisionBytes},
      {"GET", "/v1/groups", "", "application/json", "", Need::server(read), "groups",
       [&streams](Call& c, Responder r) { streams.groups(c, std::move(r)); }},
      {"GET", "/v1/groups/{group}", "", "application/json", "", Need::server(read), "group",
       [&streams](Call& c, Responder r) { streams.group(c, std::move(r)); }},
      {"GET", "/v1/cut", "", "application/json", "", Need::instance(admin), "cut",
       [&streams](Call& c, Responder r) { streams.cut(c, std::move(r)); }},
      {"POST", "/v1/keys", "application/json", "application/json", "", Need::server(admin), "key_create",
       [&keys](Call& c, Responder r) { keys.create(c, std::move(r)); }},
      {"GET", "/v1/keys", "", "application/json", "from, limit", Need::server(admin), "keys",
       [&keys](Call& c, Responder r) { keys.list(c, std::move(r)); }},
      {"GET", "/v1/keys/{id}", "", "application/json", "", Need::server(admin), "key",
       [&keys](Call& c, Responder r) { keys.get(c, std::move(r)); }},
      {"POST", "/v1/keys/{id}/rotate", "application/json", "application/json", "", Need::server(admin), "key_rotate",
       [&keys](Call& c, Responder r) { keys.rotate(c, std::move(r)); }},
      {"DELETE", "/v1/keys/{id}", "", "", "", Need::server(admin), "key_revoke",
       [&keys](Call& c, Responder r) { keys.revoke(c, std::move(r)); }},
      {"POST", "/v1/keys/{id}/certificates", "application/json", "application/json", "", Need::server(admin),
       "key_bind", [&keys](Call& c, Responder r) { keys.bind(c, std::move(r)); }},
      {"DELETE", "/v1/keys/{id}/certificates/{sha256}", "", "", "", Need::server(admin), "key_unbind",
       [&keys](Call& c, Responder r) { keys.unbind(c, std::move(r)); }},
      {"GET", "/v1/limits", "", "application/json", "", Need::some_key(), "limits",
       [&limits](Call& c, Responder r) { limits.mine(c, std::move(r)); }},
      {"GET", "/v1/limits/keys", "", "application/json", "from, limit", Need::server(admin), "limits_keys",
       [&limits](Call& c, Responder r) { limits.list_keys(c, std::move(r)); }},
      {"GET", "/v1/limits/keys/{id}", "", "application/json", "", Need::server(admin), "limits_key",
       [&limits](Call& c, Responder r) { limits.get_key(c, std::move(r)); }},
      {"PUT", "/v1/limits/keys/{id}", "application/json", "application/json", "", Need::server(admin), "limits_key_put",
       [&limits](Call& c, Responder r) { limits.put_key(c, std::move(r)); }},
      {"DELETE", "/v1/limits/keys/{id}", "", "", "", Need::server(admin), "limits_key_delete",
       [&limits](Call& c, Responder r) { limits.remove_key(c, std::move(r)); }},
      {"GET", "/v1/limits/tenants", "", "application/json", "", Need::instance(admin), "limits_tenants",
       [&limits](Call& c, Responder r) { limits.list_tenants(c, std::move(r)); }},
      {"GET", "/v1/limits/tenants/{tenant}", "", "application/json", "", Need::instance(admin), "limits_tenant",
       [&limits](Call& c, Responder r) { limits.get_tenant(c, std::move(r)); }},
      {"PUT", "/v1/limits/tenants/{tenant}", "application/json", "application/json", "", Need::instance(admin),
       "limits_tenant_put", [&limits](Call& c, Responder r) { limits.put_tenant(c, std::move(r)); }},
      {"DELETE", "/v1/limits/tenants/{tenant}", "", "", "", Need::instance(admin), "limits_tenant_delete",
       [&limits](Call& c, Responder r) { limits.remove_tenant(c, std::move(r)); }},
      {"GET", "/v1/audit", "", "application/json", "key, from, until, action, limit, cursor",
       Need::server_admin_or_instance_read(), "audit", [&audit](Call& c, Responder r) { audit.list(c, std::move(r)); }},
      {"GET", "/v1/audit/head", "", "application/json", "", Need::instance(read), "audit_head",
       [&audit](Call& c, Responder r) { audit.head(c, std::move(r)); }},
      {"GET", "/openapi.json", "", "application/json", "", Need::nothing(), "openapi",
       [document](Call& c, Responder r) { document->answer(c.request, std::move(r)); }},
      {"GET", "/healthz", "", "text/plain", "", Need::nothing(), "healthz", healthz},
      {"GET", "/readyz", "", "text/plain", "", Need::nothing(), "readyz", readyz},
      {"GET", "/readyz/ingest", "", "text/plain", "", Need::nothing(), "readyz_ingest", readyz_ingest},
      {"GET", "/metrics", "", "text/plain", "", Need::instance(read), "metrics", metrics},
      {"GET", "/", "", "text/html", "", Need::some_key(), "index",
       [&context](Call& c, Responder r) { index_page(context, c, std::move(r)); }},
  };
  document->make(routes);
  return routes;
}

}  // namespace tidemill
