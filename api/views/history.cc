// The kept points, which SQL reads the past at.
#include "api/errors/problem.h"
#include "api/views/view_routes.h"
#include "engine/json/writer.h"

namespace tidemill {

void ViewRoutes::history(Call&, http::Responder responder) {
  const views::HistoryStatus history = context_.views ? context_.views->history() : views::HistoryStatus{};
  http::Response response;
  response.content_type = kJson;
  JsonWriter json(response.body);
  json.begin_object().name("every_seconds");
  if (history.every.count() == 0) {
    json.null();
  } else {
    json.value(static_cast<double>(history.every.count()) / 1000);
  }
  json.field("keep", history.keep).field("bytes", history.bytes).field("failures", history.failures);
  json.name("failed");
  if (history.failed.empty()) {
    json.null();
  } else {
    json.value(history.failed);
  }
  json.name("points").begin_array();
  for (const views::KeptPoint& point : history.points) {
    json.begin_object().field("number", point.number).field("made", format_rfc3339(point.made));
    json.field("bytes", point.bytes).name("views").begin_array();
    for (const auto& v : point.views)
      json.begin_object()
          .field("view", v.name)
          .field("stream", v.stream)
          .field("sequence", v.sequence.value())
          .end_object();
    json.end_array().end_object();
  }
  json.end_array().end_object();
  response.body.push_back('\n');
  responder.send(std::move(response));
}

}  // namespace tidemill
