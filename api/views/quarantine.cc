#include <charconv>
#include <nlohmann/json.hpp>

#include "api/errors/problem.h"
#include "api/views/rows_json.h"
#include "api/views/view_routes.h"
#include "engine/json/writer.h"

namespace tidemill {
namespace {

std::optional<std::uint64_t> number(std::string_view text, std::uint64_t least, std::uint64_t most) {
  std::uint64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size() || n < least || n > most) return std::nullopt;
  return n;
}

void append_record(JsonWriter& json, const views::QuarantinedRecord& record) {
  json.begin_object().field("sequence", record.sequence.value()).field("time", format_rfc3339(record.time));
  json.field("key", record.key).field("reason", record.reason).name("data");
  if (nlohmann::json::accept(record.data)) {
    json.raw(record.data);
  } else {
    std::string bytes;
    append_bytes_json(bytes, record.data);
    json.raw(bytes);
  }
  json.end_object();
}

}  // namespace

void ViewRoutes::quarantine(Call& call, http::Responder responder) {
  const std::string view = call.params[0];
  const OwnViews views = context_.views_of(*call.who);
  const auto info = views ? views->find(view) : std::nullopt;
  if (!info) return responder.send(problem(ErrorId::view_not_found));
  if (auto refusal = refuse_records(call, *info)) return responder.send(std::move(*refusal));
  const auto from = number(call.query.get("from").value_or("0"), 0, UINT64_MAX);
  if (!from) return responder.send(problem(ErrorId::invalid_parameter, "`from` is a sequence number."));
  const auto limit = number(call.query.get("limit").value_or("100"), 1, 1'000);
  if (!limit) return responder.send(problem(ErrorId::invalid_parameter, "`limit` is a number from 1 to 1,000."));
  when_visible(call, std::move(responder), {view}, info->stream,
               [this, tenant = call.who->tenant, views, view, from, limit](http::Responder ready) {
                 in_turn(context_.questions, tenant, std::move(ready), [views, view, from, limit](http::Responder r) {
                   const auto found = views->quarantine(view, Sequence(*from), static_cast<std::uint32_t>(*limit));
                   if (!found) return r.send(problem(error_id(found.error())));
                   if (!*found) return r.send(problem(ErrorId::view_not_found));
                   const views::QuarantineResult& result = **found;
                   http::Response response;
                   response.content_type = kJson;
                   JsonWriter json(response.body);
                   json.begin_object().field("view", view).field("count", result.count).name("records").begin_array();
                   for (const auto& record : result.records) append_record(json, record);
                   json.end_array().name("next");
                   if (result.next) {
                     json.value(result.next->value());
                   } else {
                     json.null();
                   }
                   std::string as_of;
                   append_as_of(as_of, result.as_of);
                   json.name("as_of").raw(as_of).end_object();
                   response.body.push_back('\n');
                   r.send(std::move(response));
                 });
               });
}

}  // namespace tidemill
