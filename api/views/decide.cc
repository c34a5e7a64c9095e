// Decisions about records in quarantine.
#include <charconv>

#include "api/errors/problem.h"
#include "api/json_input.h"
#include "api/views/rows_json.h"
#include "api/views/view_routes.h"
#include "engine/json/record_parser.h"
#include "engine/json/writer.h"

namespace tidemill {
namespace {

constexpr std::size_t kShownMax = 100;

std::string_view decision_name(const views::DecisionRequest& request) {
  switch (request.what) {
    case views::DecisionRequest::What::skip:
      return "skip";
    case views::DecisionRequest::What::redrive:
      return "redrive";
    case views::DecisionRequest::What::edit:
      return "edit";
  }
  return {};
}

// As a producer's record would be stored; else the sentence that a producer would get.
std::optional<std::string> as_record(std::string& data, std::uint64_t bytes_max) {
  RecordParser parser;
  ParsedBody parsed;
  ParseOptions options;
  options.request_key = "-";
  options.record_bytes_max = bytes_max;
  (void)parser.parse(data, BodyFormat::json, options, parsed);
  if (!parsed.rejected.empty())
    return "`data`: " + std::string(rejection_message(static_cast<Rejection>(parsed.rejected.front().code)));
  if (parsed.records.size() != 1) return "`data` is a JSON object.";
  data = parsed.records.front().data;
  return std::nullopt;
}

void append_row(JsonWriter& json, const std::vector<views::Column>& columns, const std::optional<views::Row>& row) {
  if (!row) return (void)json.null();
  std::string text;
  append_row_object(text, columns, *row);
  json.raw(text);
}

std::string decision_json(const views::ViewInfo& info, const views::DecisionRequest& request,
                          const views::DecisionResult& result) {
  std::string out;
  JsonWriter json(out);
  json.begin_object().field("view", info.name).field("decision", decision_name(request));
  json.field("dry_run", request.dry_run).field("decided", static_cast<std::uint64_t>(result.decided.size()));
  json.name("sequences").begin_array();
  for (const Sequence s : result.decided) json.value(s.value());
  json.end_array().field("refused_count", static_cast<std::uint64_t>(result.kept.size()));
  json.name("refused").begin_array();
  for (std::size_t i = 0; i < std::min(result.kept.size(), kShownMax); ++i) {
    json.begin_object().field("sequence", result.kept[i].first.value()).field("reason", result.kept[i].second);
    json.end_object();
  }
  json.end_array();
  if (request.dry_run) {
    json.field("row_count", result.change_count).name("rows").begin_array();
    for (const auto& change : result.changes) {
      json.begin_object().name("before");
      append_row(json, info.columns, change.before);
      json.name("after");
      append_row(json, info.columns, change.after);
      json.end_object();
    }
    json.end_array();
  } else {
    json.field("applied", result.applied);
  }
  json.name("next");
  result.next ? json.value(result.next->value()) : json.null();
  json.field("count", result.count).name("as_of");
  std::string as_of;
  append_as_of(as_of, result.as_of);
  json.raw(as_of).end_object();
  out.push_back('\n');
  return out;
}

}  // namespace

void ViewRoutes::decide(Call& call, http::Responder responder) {
  if (context_.draining.load()) return responder.send(problem(ErrorId::draining));
  const std::string view = call.params[0];
  const OwnViews views = context_.views_of(*call.who);
  if (!views || !views->find(view)) return responder.send(problem(ErrorId::view_not_found));
  std::optional<Sequence> sequence;
  if (const std::string& text = call.params[1]; !text.empty()) {
    std::uint64_t n = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (error != std::errc() || end != text.data() + text.size())
      return responder.send(problem(ErrorId::invalid_parameter, "A record is named by its sequence, a number."));
    sequence = Sequence(n);
  }
  auto input = parse_decision_input(call.request.body, sequence);
  if (const auto* error = std::get_if<InputError>(&input))
    return responder.send(problem(ErrorId::invalid_body, error->message));
  in_turn(context_.questions, call.who->tenant, std::move(responder),
          [&context = context_, views, view,
           request = std::get<views::DecisionRequest>(std::move(input))](http::Responder r) mutable {
            if (request.what == views::DecisionRequest::What::edit)
              if (const auto wrong = as_record(request.data, context.limits()->record_bytes))
                return r.send(problem(ErrorId::invalid_body, *wrong));
            const auto info = views->find(view);
            if (!info) return r.send(problem(ErrorId::view_not_found));
            const auto decided = views->decide(view, request);
            if (const auto* error = std::get_if<views::SqlError>(&decided))
              return r.send(problem(error_id(error->code), error->message));
            const auto& result = std::get<views::DecisionResult>(decided);
            http::Response response;
            response.status = request.dry_run || result.applied ? 200 : 202;
            response.content_type = kJson;
            response.body = decision_json(*info, request, result);
            r.send(std::move(response));
          });
}

}  // namespace tidemill
