// A row as it was.
#include "api/errors/problem.h"
#include "api/json_input.h"
#include "api/views/rows_json.h"
#include "api/views/view_routes.h"
#include "engine/json/writer.h"

namespace tidemill {
namespace {

constexpr char kTooSlow[] =
    "The row's records up to `at` could not be read and counted in limits.sql_time. Ask for an earlier `at`.";

http::Response refusal(const views::PastRefusal& refused, const std::string& as_of) {
  const ErrorId id = refused.code == "cancelled" ? ErrorId::draining : error_id(refused.code);
  std::string members = ",\"as_of\":" + as_of;
  if (refused.first) members += ",\"first\":" + std::to_string(refused.first->value());
  return problem(id, id == ErrorId::query_timeout ? kTooSlow : refused.message, members);
}

}  // namespace

// What is shown of now alone.
bool ViewRoutes::refuse_at(Call& call, http::Responder& responder) {
  if (!call.query.get("at")) return false;
  responder.send(problem(ErrorId::not_supported,
                         "`at` is for one row, /v1/views/{view}/rows/{key}?at=, and for SQL: POST /v1/sql?at= reads "
                         "the views as they were at kept points."));
  return true;
}

void ViewRoutes::read_past(Call& call, http::Responder responder, const views::ViewInfo& info,
                           std::vector<views::Row> tries) {
  views::PastOptions options;
  const auto at = parse_at(*call.query.get("at"));
  if (!at) return responder.send(problem(ErrorId::invalid_parameter, kAtSentence));
  options.at = *at;
  const auto work = [&context = context_, views = context_.views_of(*call.who), view = info.name,
                     columns = info.columns, tries = std::move(tries), options](http::Responder r) mutable {
    auto client = std::make_shared<http::Responder>(std::move(r));
    options.time_max = context.limits()->sql.time_max;
    options.cancelled = [client] { return client->abandoned(); };
    auto found = views->get_at(view, tries.front(), options);
    for (std::size_t i = 1; i < tries.size() && found && *found && !(*found)->row && !(*found)->refused; ++i)
      found = views->get_at(view, tries[i], options);
    if (!found) return client->send(problem(error_id(found.error())));
    if (!*found) return client->send(problem(ErrorId::view_not_found));
    const views::Views::PastResult& past = **found;
    std::string as_of;
    append_as_of(as_of, past.as_of);
    if (past.refused) return client->send(refusal(*past.refused, as_of));
    if (!past.row) return client->send(problem(ErrorId::no_such_row, {}, ",\"as_of\":" + as_of));
    http::Response response;
    response.content_type = kJson;
    response.body = "{\"row\":";
    append_row_object(response.body, columns, *past.row);
    response.body.append(",\"as_of\":").append(as_of).append("}\n");
    client->send(std::move(response));
  };
  when_visible(call, std::move(responder), {info.name}, info.stream,
               [this, tenant = call.who->tenant, work](http::Responder ready) {
                 in_turn(context_.questions, tenant, std::move(ready), work);
               });
}

}  // namespace tidemill
