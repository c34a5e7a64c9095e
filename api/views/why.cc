// Which records made a row.
#include <charconv>

#include "api/errors/problem.h"
#include "api/views/key_input.h"
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

void append_record(JsonWriter& json, const views::WhyRecord& record) {
  json.begin_object().field("sequence", record.sequence.value());
  const bool there = record.missing.empty();
  if (record.time != WallTime{}) {  // it is in the log
    json.field("shard", std::uint64_t{record.shard.value()}).field("time", format_rfc3339(record.time));
    json.field("key", record.key);
  }
  json.name("data");
  if (!there) {
    json.null().field("reason", record.missing);
    if (record.edited) json.name("edited").raw(*record.edited);
  } else if (record.content == ContentType::json) {
    json.raw(record.data);
  } else {
    std::string bytes;
    append_bytes_json(bytes, record.data);
    json.raw(bytes);
  }
  json.end_object();
}

std::string text_of(const std::string& view, const std::vector<views::Column>& columns, const views::WhyResult& why,
                    const views::AsOf& at) {
  std::string out, row, as_of;
  append_row_object(row, columns, why.row);
  append_as_of(as_of, at);
  JsonWriter json(out);
  json.begin_object().field("view", view).name("row").raw(row);
  json.field("first", why.first.value()).field("last", why.last.value()).field("count", why.count);
  json.field("lineage_from", why.lineage->value()).name("records").begin_array();
  for (const auto& record : why.records) append_record(json, record);
  json.end_array().name("next");
  why.next ? json.value(why.next->value()) : json.null();
  json.name("as_of").raw(as_of).end_object();
  out.push_back('\n');
  return out;
}

}  // namespace

std::optional<http::Response> ViewRoutes::refuse_records(const Call& call, const views::ViewInfo& info) const {
  if (call.who->may(Action::read, Thing::stream, info.stream)) return std::nullopt;
  return forbid(context_, call, scope_text(Thing::stream, Action::read, info.stream));
}

void ViewRoutes::why_row(Call& call, http::Responder responder) {
  why(call, std::move(responder), call.raw_params[1]);
}

void ViewRoutes::why(Call& call, http::Responder responder) {
  why(call, std::move(responder), {});
}

void ViewRoutes::why(Call& call, http::Responder responder, std::string_view raw_key) {
  const std::string view = call.params[0];
  const OwnViews views = context_.views_of(*call.who);
  const auto info = views ? views->find(view) : std::nullopt;
  if (!info) return responder.send(problem(ErrorId::view_not_found));
  if (auto refusal = refuse_records(call, *info)) return responder.send(std::move(*refusal));
  if (raw_key.empty() && !call.query.get("key"))
    return responder.send(problem(ErrorId::invalid_parameter, "`key` says which row."));
  const std::vector<views::Row> tries = key_of(call, *info, raw_key);
  if (tries.empty()) return responder.send(problem(ErrorId::invalid_key));
  const auto order = call.query.get("order").value_or("asc");
  if (order != "asc" && order != "desc")
    return responder.send(problem(ErrorId::invalid_parameter, "`order` is asc or desc."));
  views::WhyOptions options;
  options.backwards = order == "desc";
  const auto from =
      number(call.query.get("from").value_or(options.backwards ? "18446744073709551615" : "0"), 0, UINT64_MAX);
  if (!from) return responder.send(problem(ErrorId::invalid_parameter, "`from` is a sequence number."));
  options.from = Sequence(*from);
  const auto limit = number(call.query.get("limit").value_or("100"), 1, 1'000);
  if (!limit) return responder.send(problem(ErrorId::invalid_parameter, "`limit` is a number from 1 to 1,000."));
  options.limit = static_cast<std::uint32_t>(*limit);
  when_visible(
      call, std::move(responder), {view}, info->stream,
      [this, tenant = call.who->tenant, views, view, columns = info->columns, tries, options](http::Responder ready) {
        in_turn(context_.questions, tenant, std::move(ready),
                [views, view, columns, tries, options](http::Responder r) {
                  auto found = views->why(view, tries.front(), options);
                  for (std::size_t i = 1; i < tries.size() && found && *found && !(*found)->why; ++i)
                    found = views->why(view, tries[i], options);
                  if (!found) return r.send(problem(error_id(found.error())));
                  if (!*found) return r.send(problem(ErrorId::view_not_found));
                  if (!(*found)->why) {
                    std::string as_of;
                    append_as_of(as_of, (*found)->as_of);
                    return r.send(problem(ErrorId::no_such_row, {}, ",\"as_of\":" + as_of));
                  }
                  if (!(*found)->why->lineage) return r.send(problem(ErrorId::no_lineage));
                  http::Response response;
                  response.content_type = kJson;
                  response.body = text_of(view, columns, *(*found)->why, (*found)->as_of);
                  r.send(std::move(response));
                });
      });
}

}  // namespace tidemill
