// The kept points, which SQL reads the past at.
#include "api/errors/problem.h"
#include "api/views/view_routes.h"
#include "engine/json/writer.h"

namespace tidemill {

void ViewRoutes::history(Call& call, http::Responder responder) {
  const Principal& who = *call.who;
  const OwnViews views = context_.views_of(who);
  const views::HistoryStatus history = views ? views->history() : views::HistoryStatus{};
  // Files are of all tenants' views.
  const bool whole = who.may(Action::read, Thing::instance);
  http::Response response;
  response.content_type = kJson;
  JsonWriter json(response.body);
  json.begin_object().name("every_seconds");
  if (history.every.count() == 0) {
    json.null();
  } else {
    json.value(static_cast<double>(history.every.count()) / 1000);
  }
  json.field("keep", history.keep);
  if (whole) json.field("bytes", history.bytes);
  json.field("failures", history.failures).name("failed");
  if (history.failed.empty() || !whole) {
    json.null();
  } else {
    json.value(history.failed);
  }
  json.name("points").begin_array();
  for (const views::KeptPoint& point : history.points) {
    json.begin_object().field("number", point.number).field("made", format_rfc3339(point.made));
    if (whole) json.field("bytes", point.bytes);
    json.name("views").begin_array();
    for (const auto& v : point.views) {
      if (!who.may(Action::see, Thing::view, v.name)) continue;
      json.begin_object()
          .field("view", v.name)
          .field("stream", v.stream)
          .field("sequence", v.sequence.value())
          .end_object();
    }
    json.end_array().end_object();
  }
  json.end_array().end_object();
  response.body.push_back('\n');
  responder.send(std::move(response));
}

}  // namespace tidemill
